//! Nothing of one execution is seen in another.

use crate::support::Plugin;
use serde_json::json;
use std::collections::HashSet;

#[test]
fn two_executions_that_print_at_once_never_mix() {
    let plugin = Plugin::start();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..8)
            .map(|i| {
                let plugin = &plugin;
                scope.spawn(move || {
                    let code = format!("for _ in range(2000): print('{i}' * 50)");
                    (i, plugin.execute(&code).expect(200, "value"))
                })
            })
            .collect();
        for run in runs {
            let (i, answer) = run.join().unwrap();
            let line = i.to_string().repeat(50) + "\n";
            assert_eq!(answer.text("stdout"), line.repeat(2000));
        }
    });
}

#[test]
fn environment_directory_modules_and_globals_start_afresh() {
    let plugin = Plugin::start();
    let mark = "import os, sys, types, builtins\nos.environ['MARK'] = '1'\nopen('mark', 'w').close()\n\
                sys.modules['mark'] = types.ModuleType('mark')\nbuiltins.mark = 1\nmark2 = 1\n\
                sys.path.append('/mark')\nsys.setrecursionlimit(77)\nos.umask(0)";
    let look = "import os, sys, builtins\n[os.environ.get('MARK'), os.listdir('.'), 'mark' in sys.modules,\n \
                hasattr(builtins, 'mark'), 'mark2' in globals(), '/mark' in sys.path, sys.getrecursionlimit()]";
    for _ in 0..6 {
        plugin.execute(mark).expect(200, "value");
        let seen = plugin.execute(look).expect(200, "value");
        assert_eq!(seen.result(), &json!([null, [], false, false, false, false, 1000]));
    }
}

#[test]
fn random_numbers_names_and_directories_differ() {
    let plugin = Plugin::start();
    let draw = "import random, uuid, secrets, tempfile, os\n\
                [random.random(), str(uuid.uuid4()), secrets.token_hex(8), tempfile.mktemp(), os.getcwd(), os.getpid()]";
    let mut seen: Vec<HashSet<String>> = vec![HashSet::new(); 6];
    for _ in 0..16 {
        let answer = plugin.execute(draw).expect(200, "value");
        for (set, value) in seen.iter_mut().zip(answer.result().as_array().unwrap()) {
            set.insert(value.to_string());
        }
    }
    assert!(seen.iter().all(|set| set.len() == 16), "{seen:?}");
}

#[test]
fn a_child_sees_neither_its_siblings_nor_the_plugin_s_secrets() {
    let plugin = Plugin::start();
    plugin.settle();
    let pid = plugin.pid();
    let code = format!(
        "import os\nout = {{}}\nfor path in ('/proc/{pid}/environ', '/proc/{pid}/mem', '/proc/{pid}/maps', '/proc/{pid}/cmdline'):\n  \
         try: open(path).read(1); out[path] = 'read'\n  except OSError as e: out[path] = e.errno\n\
         out['env'] = sorted(os.environ)\nout['fds'] = os.listdir('/proc/self/fd')\nout"
    );
    let answer = plugin.execute(&code).expect(200, "value");
    for path in ["environ", "mem", "maps", "cmdline"] {
        assert_eq!(answer.result()[format!("/proc/{pid}/{path}")], 13, "{:#}", answer.body);
    }
    let env = answer.result()["env"].to_string();
    assert!(!env.contains("CARGO") && !env.contains("SSH"), "{env}");
    // stdin, stdout, stderr, the channel, and the listing itself.
    assert!(answer.result()["fds"].as_array().unwrap().len() <= 5, "{:#}", answer.body);
}

#[test]
fn a_program_sees_every_core_and_may_bind_itself_alone() {
    let plugin = Plugin::start();
    let code = "import os\nbefore = sorted(os.sched_getaffinity(0))\n\
                os.sched_setaffinity(0, before[:1])\n\
                try:\n  os.sched_setaffinity(os.getppid(), before[:1])\n  other = 'bound'\n\
                except PermissionError as error:\n  other = error.errno\n\
                [before, sorted(os.sched_getaffinity(0)), other]";
    let own: Vec<usize> = allowed_cores();
    // Short programs, one at a time: they reach their child on the supervisor's core.
    for _ in 0..8 {
        let answer = plugin.execute(code).expect(200, "value");
        assert_eq!(answer.result(), &json!([own, &own[..1], 1]));
    }
}

/// The cores this process may use, as the kernel lists them.
fn allowed_cores() -> Vec<usize> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    list.trim()
        .split(',')
        .flat_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            first.parse::<usize>().unwrap()..=last.parse().unwrap()
        })
        .collect()
}
