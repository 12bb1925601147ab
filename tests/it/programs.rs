//! Real programs under the default policy: what people run has to run.
//!
//! Those of the standard library always; those that need packages from an index with
//! `QNTX_PYTHON_PACKAGES=1` (as in CI) or `QNTX_PYTHON_FULL=1`, installed into a directory that
//! `--python-path` names.

use crate::support::Plugin;
use serde_json::json;
use std::path::Path;
use std::process::Command;

#[test]
fn a_database_file_is_written_and_read() {
    let plugin = Plugin::start();
    let code = "import sqlite3\nfor mode in ('delete', 'wal'):\n  c = sqlite3.connect(f'{mode}.db')\n  \
                c.execute(f'pragma journal_mode={mode}')\n  c.execute('create table t (n)')\n  \
                c.executemany('insert into t values (?)', [(n,) for n in range(1000)])\n  c.commit()\n  c.close()\n\
                two = [sqlite3.connect(f'{m}.db').execute('select sum(n) from t').fetchone()[0] for m in ('delete', 'wal')]\n\
                two";
    assert_eq!(plugin.execute(code).expect(200, "value").result(), &json!([499500, 499500]));
}

#[test]
fn two_connections_to_one_database_take_turns() {
    let plugin = Plugin::start();
    let code = "import sqlite3, threading\nsqlite3.connect('d.db').execute('create table t (n)')\n\
                def work():\n  c = sqlite3.connect('d.db', timeout=20)\n  for n in range(50):\n    with c: c.execute('insert into t values (1)')\n\
                ts = [threading.Thread(target=work) for _ in range(4)]\n[t.start() for t in ts]; [t.join() for t in ts]\n\
                c = sqlite3.connect('d.db')\n[c.execute('select count(*) from t').fetchone()[0], c.execute('pragma integrity_check').fetchone()[0]]";
    assert_eq!(plugin.execute(code).expect(200, "value").result(), &json!([200, "ok"]));
}

#[test]
fn threads_timers_and_pools_work() {
    let plugin = Plugin::start();
    let pool = "from concurrent.futures import ThreadPoolExecutor\n\
                with ThreadPoolExecutor(8) as p: out = list(p.map(lambda n: n * n, range(100)))\nsum(out)";
    assert_eq!(plugin.execute(pool).expect(200, "value").result(), &json!(328_350));
    let timers = "import asyncio, time\nasync def one(n):\n  await asyncio.sleep(0.05 * n); return n\n\
                  async def main_():\n  began = time.monotonic()\n  out = await asyncio.gather(*(one(n) for n in range(4)))\n  \
                  loop = asyncio.get_running_loop()\n  out.append(await loop.run_in_executor(None, lambda: 9))\n  \
                  return out + [0.1 < time.monotonic() - began < 2]\nasyncio.run(main_())";
    let answer = plugin.execute(timers).expect(200, "value");
    assert_eq!(answer.result(), &json!([0, 1, 2, 3, 9, true]));
}

#[test]
fn the_standard_library_at_work() {
    let plugin = Plugin::start();
    for (code, expected) in [
        ("import decimal\nstr(decimal.Decimal(2).sqrt())[:8]", json!("1.414213")),
        ("import ssl\nssl.create_default_context().verify_mode.name", json!("CERT_REQUIRED")),
        (
            "import zoneinfo, datetime\nstr(datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo('Europe/Berlin')).utcoffset())",
            json!("2:00:00"),
        ),
        (
            "import tempfile, shutil, os\nd = tempfile.mkdtemp()\nopen(d + '/a', 'w').write('x')\nshutil.copytree(d, d + 'b')\nshutil.copy2(d + '/a', 'c')\nshutil.rmtree(d)\nsorted(os.listdir(d + 'b'))",
            json!(["a"]),
        ),
        (
            "import zipfile, io\nb = io.BytesIO()\nz = zipfile.ZipFile(b, 'w'); z.writestr('n', 'text'); z.close()\nzipfile.ZipFile(b).read('n').decode()",
            json!("text"),
        ),
        (
            "import mmap\nopen('f', 'wb').write(b'a' * 5000)\nf = open('f', 'r+b')\nm = mmap.mmap(f.fileno(), 0)\nm[:2] = b'bc'\nm.flush()\nopen('f').read(3)",
            json!("bca"),
        ),
        (
            "import mmap\nm = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\nm.write(b'x' * 9)",
            json!(9),
        ),
        (
            "import signal, time\nhit = []\nsignal.signal(signal.SIGALRM, lambda *a: hit.append(1))\nsignal.setitimer(signal.ITIMER_REAL, 0.05)\ntime.sleep(0.2)\nhit",
            json!([1]),
        ),
        (
            "import queue, threading\nq = queue.Queue()\nthreading.Timer(0.05, q.put, ['t']).start()\nq.get(timeout=5)",
            json!("t"),
        ),
        (
            "import lzma, bz2, zlib, hashlib\nd = b'x' * 9999\nall(m.decompress(m.compress(d)) == d for m in (lzma, bz2, zlib))",
            json!(true),
        ),
        (
            "import ctypes\nctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda n: n + 1)(4)",
            json!(5),
        ),
        (
            "import socket\na, b = socket.socketpair()\na.sendall(b'hello')\nb.recv(9).decode()",
            json!("hello"),
        ),
        (
            "import time, os\n[os.nice(0) >= 0, time.process_time() > 0, time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID) > 0]",
            json!([true, true, true]),
        ),
    ] {
        let answer = plugin.execute(code).expect(200, "value");
        assert_eq!(answer.result(), &expected, "{code}");
    }
}

#[test]
fn a_subprocess_is_refused_with_a_sentence_that_helps() {
    let plugin = Plugin::start();
    for code in [
        "import subprocess; subprocess.run(['ls'])",
        "import os; os.posix_spawn('/bin/ls', ['ls'], {})",
        "import asyncio\nasync def m(): await asyncio.create_subprocess_exec('ls')\nasyncio.run(m())",
    ] {
        let answer = plugin.execute(code).expect(400, "raised");
        assert_eq!(answer.body["outcome_detail"]["type"], "PermissionError", "{:#}", answer.body);
        assert!(answer.text("error").contains("sandbox"), "{}", answer.text("error"));
    }
}

#[test]
fn packages_at_work() {
    if crate::support::packages() {
        let place = tempfile::tempdir().unwrap();
        install(place.path());
        let plugin = Plugin::start_with(&[
            "--store",
            ":memory:",
            "--python-path",
            place.path().to_str().unwrap(),
        ]);
        for (code, expected) in PACKAGES {
            let fields = json!({"timeout_secs": 60});
            let answer = plugin.execute_with(code, fields).expect(200, "value");
            assert_eq!(answer.result().to_string(), *expected, "{code}");
        }
    }
    assert_eq!(PACKAGES.len(), 4);
}

/// Programs, and their results as JSON.
const PACKAGES: &[(&str, &str)] = &[
    (
        "import numpy as np\na = np.arange(250000.).reshape(500, 500) % 7 + np.eye(500) * 9\n\
         x = np.linalg.solve(a, np.ones(500))\nbool(np.allclose(a @ x, 1)) and len(np.linalg.eigvals(a))",
        "500",
    ),
    (
        "import numpy as np\nm = np.memmap('big', dtype='f8', mode='w+', shape=(1000, 1000))\nm[:] = 2\nm.flush()\n\
         float(np.memmap('big', dtype='f8', mode='r', shape=(1000, 1000)).sum())",
        "2000000.0",
    ),
    (
        "import pandas as pd\nopen('t.csv', 'w').write('k,n\\n' + ''.join(f'{i % 3},{i}\\n' for i in range(3000)))\n\
         d = pd.read_csv('t.csv').groupby('k').n.sum()\nd.to_frame().to_csv('out.csv')\n[int(n) for n in d]",
        "[1498500,1499500,1500500]",
    ),
    (
        "import matplotlib.pyplot as plt\nplt.plot([1, 4, 9]); plt.title('squares'); plt.savefig('p.png')\n\
         open('p.png', 'rb').read(8)[1:4].decode()",
        "\"PNG\"",
    ),
];

pub(crate) fn install(place: &Path) {
    let finder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/find-python");
    let installed = Command::new(finder)
        .args(["-m", "pip", "install", "--quiet", "--only-binary", ":all:", "--target"])
        .arg(place)
        .args(PACKAGES_NEEDED)
        .output()
        .unwrap();
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
}

/// What the programs here and of the allow-list need from an index.
const PACKAGES_NEEDED: [&str; 8] =
    ["numpy", "pandas", "matplotlib", "pillow", "cryptography", "lxml", "psutil", "pydantic"];
