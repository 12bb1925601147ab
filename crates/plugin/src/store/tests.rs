//! The store's rules, its failures, and that nothing answered is ever lost.

use super::*;
use proto::protocol as wire;
use proto::protocol::ats_store_service_client::AtsStoreServiceClient;
use serde_json::json;
use std::time::Duration;

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|&word| word.to_owned()).collect()
}

fn command(subject: &str, predicate: &str, context: &str) -> Command {
    Command {
        subjects: words(&[subject]),
        predicates: words(&[predicate]),
        contexts: words(&[context]),
        source: "python".to_owned(),
        ..Command::default()
    }
}

fn memory() -> Store {
    Store::open(&StorePath::Memory).unwrap()
}

fn on_disk(directory: &tempfile::TempDir) -> (StorePath, Store) {
    let place = StorePath::File(directory.path().join("deep/er/store.db"));
    (place.clone(), Store::open(&place).unwrap())
}

async fn ids(store: &Store, filter: Filter) -> Vec<String> {
    store.query(filter).await.unwrap().into_iter().map(|a| a.id).collect()
}

#[tokio::test]
async fn actors_become_the_id_and_nothing_becomes_a_blank() {
    let store = memory();
    let made = store
        .create(Command {
            subjects: words(&["user 1", "b"]),
            actors: words(&["me"]),
            attributes: json!({"n": 42, "source_version": "mine"}).as_object().unwrap().clone(),
            source_version: "0.9".to_owned(),
            ..Command::default()
        })
        .await
        .unwrap();
    assert!(made.id.starts_with("AS-USER1-_-_-"), "{}", made.id);
    assert_eq!(made.id.len(), "AS-USER1-_-_-".len() + 8);
    assert_eq!(made.actors, std::slice::from_ref(&made.id));
    assert_eq!((&made.predicates, &made.contexts), (&words(&["_"]), &words(&["_"])));
    assert_eq!(made.source, "plugin");
    assert_eq!(made.timestamp, made.created_at);
    assert!(made.created_at > 1_700_000_000_000, "milliseconds, not seconds");
    assert!(made.signature.is_empty() && made.signer_did.is_empty());
    assert_eq!(json!(made.attributes), json!({"n": 42.0, "source_version": "0.9"}));
    assert_eq!(store.query(Filter::default()).await.unwrap(), [made]);
}

#[tokio::test]
async fn values_within_a_list_are_alternatives_and_lists_have_to_match_together() {
    for directory in [None, Some(tempfile::tempdir().unwrap())] {
        let store = directory.as_ref().map_or_else(memory, |directory| on_disk(directory).1);
        let a = store.create(command("Alice", "knows", "work")).await.unwrap().id;
        let b = store.create(command("bob", "KNOWS", "work")).await.unwrap().id;
        let c = store.create(command("alice", "likes", "home")).await.unwrap().id;
        let d = store.create(command("Ärger", "likes", "work")).await.unwrap().id;
        let by = |subjects: &[&str], predicates: &[&str], contexts: &[&str]| Filter {
            subjects: words(subjects),
            predicates: words(predicates),
            contexts: words(contexts),
            ..Filter::default()
        };
        assert_eq!(ids(&store, by(&["ALICE"], &[], &[])).await, [c.clone(), a.clone()]);
        assert_eq!(ids(&store, by(&["alice"], &["knows"], &[])).await, std::slice::from_ref(&a));
        assert_eq!(
            ids(&store, by(&["alice", "bob"], &["Knows"], &[])).await,
            [b.clone(), a.clone()]
        );
        let both = by(&["alice", "bob"], &["knows", "likes"], &["work", "home"]);
        assert_eq!(ids(&store, both).await, [c.clone(), b.clone(), a.clone()]);
        assert_eq!(
            ids(&store, by(&["ärger"], &["likes"], &["work", "x"])).await,
            std::slice::from_ref(&d)
        );
        assert_eq!(ids(&store, by(&["alic"], &[], &[])).await, Vec::<String>::new());
        assert_eq!(ids(&store, by(&["alice%"], &[], &[])).await, Vec::<String>::new());
        assert_eq!(ids(&store, by(&[], &[], &["home"])).await, [c]);
        let actor = Filter { actors: vec![b.to_lowercase()], ..Filter::default() };
        assert_eq!(ids(&store, actor).await, [b]);
    }
}

#[tokio::test]
async fn an_attestation_with_two_wanted_values_is_found_once() {
    let store = memory();
    let two = Command { subjects: words(&["x", "y", "X"]), ..Command::default() };
    let id = store.create(two).await.unwrap().id;
    let filter = Filter { subjects: words(&["x", "y"]), ..Filter::default() };
    assert_eq!(ids(&store, filter).await, [id]);
}

#[tokio::test]
async fn time_bounds_are_inclusive_and_on_the_timestamp() {
    let store = memory();
    for ms in [100, 200, 300] {
        let at = Command { timestamp: Some(ms), ..command("s", "p", "c") };
        assert_eq!(store.create(at).await.unwrap().timestamp, ms);
    }
    let between = Filter { time_start: Some(100), time_end: Some(200), ..Filter::default() };
    let found: Vec<i64> =
        store.query(between).await.unwrap().into_iter().map(|a| a.timestamp).collect();
    assert_eq!(found, [200, 100]);
    let zero = Command { timestamp: Some(0), ..command("s", "p", "c") };
    assert!(store.create(zero).await.unwrap().timestamp > 1_700_000_000_000);
}

#[tokio::test]
async fn newest_created_comes_first_then_the_latest_inserted() {
    let store = memory();
    let kept = |id: &str, created_at: i64| Attestation {
        id: id.to_owned(),
        subjects: words(&["s"]),
        predicates: vec![],
        contexts: vec![],
        actors: words(&["glyph:1"]),
        timestamp: 0,
        source: String::new(),
        attributes: Attributes::new(),
        created_at,
        signature: vec![1],
        signer_did: "did:key:z".to_owned(),
    };
    for (id, created_at) in [("old", 5), ("new", 9), ("tie", 9), ("middle", 7)] {
        store.keep(kept(id, created_at)).await.unwrap();
    }
    let order = ["tie", "new", "middle", "old"];
    assert_eq!(ids(&store, Filter::default()).await, order);
    let subject = Filter { subjects: words(&["s"]), limit: Some(3), ..Filter::default() };
    assert_eq!(ids(&store, subject).await, order[..3]);
    let found = &store.query(Filter::default()).await.unwrap()[3];
    assert_eq!(found.actors, ["glyph:1"], "the deprecated way keeps actors");
    assert_eq!(found.timestamp, 5, "a zero timestamp takes the store's");
    assert_eq!((found.signature.as_slice(), found.signer_did.as_str()), (&[1][..], "did:key:z"));
    let again = store.keep(kept("old", 1)).await.unwrap_err();
    assert!(matches!(again, StoreError::Duplicate { ref id } if id == "old"), "{again}");
    assert!(matches!(store.keep(kept("", 1)).await, Err(StoreError::NoId)));
    assert_eq!(ids(&store, Filter::default()).await.len(), 4);
}

#[tokio::test]
async fn pages_give_every_row_once_in_order_whatever_is_inserted_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let (_, store) = on_disk(&directory);
    let many = (0..700).map(|n| command(&format!("s{}", n % 3), "p", "c")).collect();
    assert_eq!(store.create_many(many).await.unwrap(), 700);
    for filter in [
        Filter::default(),
        Filter { subjects: words(&["s1", "s2"]), ..Filter::default() },
        Filter { predicates: words(&["P"]), limit: Some(300), ..Filter::default() },
        Filter { predicates: words(&["P"]), limit: Some(256), ..Filter::default() },
    ] {
        let expected = ids(&store, filter.clone()).await;
        let (mut pages, mut seen) = (store.pages(filter), Vec::new());
        while let Some(page) = pages.next().await.unwrap() {
            assert!(page.len() <= 256);
            seen.extend(page.into_iter().map(|a| a.id));
            store.create(command("s1", "p", "late")).await.unwrap();
        }
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn a_batch_stops_at_its_first_failure_and_keeps_what_was_written() {
    let store = memory();
    let mut many: Vec<Command> = (0..600).map(|_| command("s", "p", "c")).collect();
    let bad = json!({"deep": {"n": u64::MAX}}).as_object().unwrap().clone();
    many[520].attributes = bad;
    let error = store.create_many(many).await.unwrap_err();
    assert_eq!((error.created, error.total), (520, 600));
    assert!(error.source.to_string().contains("`attributes.deep.n`"), "{}", error.source);
    assert_eq!(store.query(Filter::default()).await.unwrap().len(), 520);
    assert_eq!(store.create_many(Vec::new()).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_are_each_answered_with_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let (_, store) = on_disk(&directory);
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let made = store.create(command(&format!("s{n}"), "p", "c")).await.unwrap();
                assert_eq!(made.subjects, [format!("s{n}")]);
                assert!(
                    store.exists(made.id.clone()).await.unwrap(),
                    "answered before it is there"
                );
                made.id
            })
        })
        .collect();
    let mut made = std::collections::HashSet::new();
    for task in tasks {
        made.insert(task.await.unwrap());
    }
    assert_eq!(made.len(), 200);
    assert!(!store.exists("nobody".to_owned()).await.unwrap());
}

/// The second process of the test below: attests, and dies without a goodbye.
const CRASH: &str = "QNTX_TEST_STORE_THAT_CRASHES";

#[test]
fn what_was_answered_survives_the_death_of_the_process() {
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    if let Some(path) = std::env::var_os(CRASH) {
        let store = Store::open(&StorePath::File(path.into())).unwrap();
        runtime().block_on(async {
            for n in 0..1000 {
                store.create(command(&format!("s{n}"), "p", "c")).await.unwrap();
            }
        });
        // no destructor, no flush: what the kernel does not have is gone
        std::process::abort();
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let name = "store::tests::what_was_answered_survives_the_death_of_the_process";
    let ended = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CRASH, &path)
        .output()
        .unwrap();
    use std::os::unix::process::ExitStatusExt as _;
    assert_eq!(ended.status.signal(), Some(6), "{}", String::from_utf8_lossy(&ended.stderr));
    let store = Store::open(&StorePath::File(path)).unwrap();
    let found = runtime().block_on(store.query(Filter::default())).unwrap();
    assert_eq!(found.len(), 1000);
}

#[tokio::test]
async fn closing_folds_the_log_into_the_file_and_refuses_what_comes_later() {
    let directory = tempfile::tempdir().unwrap();
    let (place, store) = on_disk(&directory);
    store.create(command("s", "p", "c")).await.unwrap();
    store.close().await.unwrap();
    assert!(matches!(store.create(command("s", "p", "c")).await, Err(StoreError::Closed { .. })));
    assert!(matches!(store.query(Filter::default()).await, Err(StoreError::Closed { .. })));
    let again = Store::open(&place).unwrap();
    assert_eq!(again.query(Filter::default()).await.unwrap().len(), 1);
}

#[test]
fn directory_and_file_are_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let (place, _store) = on_disk(&directory);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(place.path()), 0o600);
    assert_eq!(mode(place.path().parent().unwrap()), 0o700);
}

#[test]
fn a_file_that_is_no_database_is_named_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("notes.txt");
    let text = "not a database, but long enough to look at. ".repeat(40);
    std::fs::write(&file, &text).unwrap();
    let error = Store::open(&StorePath::File(file.clone())).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    assert!(!error.remedy().is_empty());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn somebody_elses_database_and_a_newer_one_are_refused_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("other.db");
    let other = Connection::open(&file).unwrap();
    other.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(other);
    let before = std::fs::read(&file).unwrap();
    let error = Store::open(&StorePath::File(file.clone())).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), before);

    let place = StorePath::File(directory.path().join("newer.db"));
    drop(Store::open(&place).unwrap());
    let newer = Connection::open(place.path()).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let error = Store::open(&place).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
}

#[test]
fn a_place_that_cannot_be_is_an_error_with_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let error = Store::open(&StorePath::File(file.join("store.db"))).unwrap_err();
    assert!(matches!(error, StoreError::Directory { .. }), "{error}");
    let error = Store::open(&StorePath::File(directory.path().to_owned())).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
}

#[tokio::test]
async fn a_lock_held_by_another_process_is_waited_for_then_named() {
    let directory = tempfile::tempdir().unwrap();
    let (place, store) = on_disk(&directory);
    store.create(command("s", "p", "c")).await.unwrap();
    let other = Connection::open(place.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.create(command("s", "p", "c")).await.unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert!(error.retryable());
    assert_eq!(store.query(Filter::default()).await.unwrap().len(), 1, "readers go on");
    other.execute_batch("ROLLBACK").unwrap();
    store.create(command("s", "p", "c")).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_fails_the_callers_and_leaves_no_half_attestation() {
    let directory = tempfile::tempdir().unwrap();
    let (_, store) = on_disk(&directory);
    let limit = |pages: i64| {
        store.write::<()>(move |answer| {
            Wish::Read(Box::new(move |connection| {
                let now: i64 =
                    connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
                connection
                    .pragma_update_and_check(None, "max_page_count", now + pages, |_| Ok(()))
                    .unwrap();
                answer.send(()).unwrap();
            }))
        })
    };
    limit(4).await.unwrap();
    let big = || Command {
        attributes: json!({"text": "x".repeat(3000)}).as_object().unwrap().clone(),
        ..command("s", "p", "c")
    };
    let mut made = 0;
    let error = loop {
        match store.create(big()).await {
            Ok(_) => made += 1,
            Err(error) => break error,
        }
        assert!(made < 100, "the limit has no effect");
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    let by_term = Filter { subjects: words(&["s"]), ..Filter::default() };
    assert_eq!(store.query(by_term).await.unwrap().len(), made);
    assert_eq!(store.query(Filter::default()).await.unwrap().len(), made);
    limit(1000).await.unwrap();
    store.create(big()).await.unwrap();
    assert_eq!(store.query(Filter::default()).await.unwrap().len(), made + 1);
}

/// A server over a fresh store, and a client.
async fn served(token: &str) -> AtsStoreServiceClient<tonic::transport::Channel> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = StoreService::new(memory(), token).into_server();
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener)),
    );
    AtsStoreServiceClient::connect(format!("http://{address}")).await.unwrap()
}

#[tokio::test]
async fn the_service_answers_unset_messages_and_wrong_tokens_as_the_contract_says() {
    let mut client = served("secret").await;
    let auth_token = "secret".to_owned();
    let answer = client
        .generate_and_create_attestation(wire::GenerateAttestationRequest {
            auth_token: auth_token.clone(),
            command: None,
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!((answer.success, answer.error.as_str()), (false, "command is nil"));
    let unset = wire::GetAttestationsRequest { auth_token: auth_token.clone(), filter: None };
    let answer = client.get_attestations(unset.clone()).await.unwrap().into_inner();
    assert_eq!((answer.success, answer.error.as_str()), (false, "filter is nil"));
    assert!(client.get_attestations_stream(unset).await.is_err());
    let answer = client
        .create_attestation(wire::CreateAttestationRequest { auth_token, attestation: None })
        .await
        .unwrap()
        .into_inner();
    assert_eq!((answer.success, answer.error.as_str()), (false, "attestation is nil"));

    let auth_token = "Secret".to_owned();
    let filter = Some(wire::AttestationFilter::default());
    let wrong = wire::GetAttestationsRequest { auth_token: auth_token.clone(), filter };
    let answer = client.get_attestations(wrong.clone()).await.unwrap().into_inner();
    assert_eq!(answer.error, "invalid authentication token");
    let status = client.get_attestations_stream(wrong).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unknown);
    let wrong = wire::AttestationExistsRequest { auth_token, id: String::new() };
    assert!(!client.attestation_exists(wrong).await.unwrap().into_inner().exists);
}

#[tokio::test]
async fn the_service_creates_batches_and_streams() {
    let mut client = served("").await;
    let one = wire::AttestationCommand {
        subjects: words(&["s"]),
        attributes: Some(to_struct(json!({"a": [1.0]}).as_object().unwrap())),
        ..wire::AttestationCommand::default()
    };
    let request = wire::GenerateAttestationRequest {
        auth_token: "whatever".to_owned(),
        command: Some(one.clone()),
    };
    let answer = client.generate_and_create_attestation(request).await.unwrap().into_inner();
    assert!(answer.success, "{}", answer.error);
    let made = answer.attestation.unwrap();
    assert_eq!(made.actors, std::slice::from_ref(&made.id));
    let request = wire::BatchGenerateAttestationRequest {
        auth_token: String::new(),
        commands: vec![one; 600],
    };
    let answer = client.batch_generate_and_create_attestations(request).await.unwrap().into_inner();
    assert_eq!((answer.success, answer.created), (true, 600));
    let request = wire::GetAttestationsRequest {
        auth_token: String::new(),
        filter: Some(wire::AttestationFilter { limit: Some(590), ..Default::default() }),
    };
    let mut rows = client.get_attestations_stream(request).await.unwrap().into_inner();
    let mut count = 0;
    let read = async {
        while let Some(row) = rows.message().await.unwrap() {
            assert_eq!(row.subjects, ["s"]);
            assert!(row.attributes.is_some());
            count += 1;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), read).await.unwrap();
    assert_eq!(count, 590);
    let request = wire::AttestationExistsRequest { auth_token: String::new(), id: made.id };
    assert!(client.attestation_exists(request).await.unwrap().into_inner().exists);
}
