//! Small packages from the real index, as a user installs them.

use super::fixture::uv;
use crate::support::Plugin;
use serde_json::json;

#[test]
fn packages_from_the_real_index_are_there_for_the_next_execution() {
    let place = tempfile::tempdir().unwrap();
    let plugin = Plugin::start_with(&[
        "--store",
        ":memory:",
        "--site-dir",
        place.path().to_str().unwrap(),
        "--uv",
        uv().to_str().unwrap(),
    ]);
    let wanted = json!({"packages": ["humanize>=4", "idna", "markupsafe"]});
    let answer = plugin.post("/uv/install", &wanted);
    assert_eq!(answer.status, 200, "{:#}", answer.body);
    let code = "import humanize, idna, markupsafe._speedups\nhumanize.intcomma(12345)";
    assert_eq!(plugin.execute(code).expect(200, "value").result(), &json!("12,345"));
    let modules = plugin.get("/modules?modules=humanize,idna,markupsafe,nope").body;
    let check = plugin.get("/uv/check?modules=humanize,idna,markupsafe,nope&importable=true").body;
    for found in check["modules"].as_array().unwrap() {
        let name = found["module"].as_str().unwrap();
        assert_eq!(found["available"], modules["modules"][name], "{name}");
        assert_eq!(found["importable"], found["available"], "{found:#}");
        if found["available"] == true {
            let distribution = found["distribution"].as_str().unwrap();
            let versions = modules["distributions"].as_object().unwrap();
            let version = versions.iter().find(|(name, _)| name.eq_ignore_ascii_case(distribution));
            assert_eq!(version.unwrap().1, &found["version"]);
        }
    }
    assert_eq!(plugin.post("/uv/rollback", &json!({})).status, 200);
    plugin.execute(code).expect(400, "raised");
}
