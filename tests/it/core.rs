//! What the core's gRPC face changes in a running plugin.

use crate::support::Plugin;
use proto::protocol::domain_plugin_service_client::DomainPluginServiceClient;
use proto::protocol::python_service_client::PythonServiceClient;
use proto::protocol::{Empty, InitializeRequest, PythonExecuteRequest};
use serde_json::{Value, json};
use tonic::transport::Channel;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn channel(plugin: &Plugin) -> Channel {
    let address = format!("http://127.0.0.1:{}", plugin.port());
    Channel::from_shared(address).unwrap().connect().await.unwrap()
}

fn initialize(config: &[(&str, &str)]) -> InitializeRequest {
    let config = config.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    InitializeRequest { config, ..InitializeRequest::default() }
}

#[test]
fn a_second_initialize_changes_the_paths_and_fails_no_running_execution() {
    let folders: Vec<_> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
    for (i, folder) in folders.iter().enumerate() {
        std::fs::write(folder.path().join("which.py"), format!("value = {i}")).unwrap();
    }
    let plugin = Plugin::start();
    plugin.settle();
    runtime().block_on(async {
        let mut domain = DomainPluginServiceClient::new(channel(&plugin).await);
        let mut python = PythonServiceClient::new(channel(&plugin).await);
        assert!(!domain.health(Empty {}).await.unwrap().into_inner().healthy);
        for (i, folder) in folders.iter().enumerate() {
            let running = tokio::spawn({
                let mut python = python.clone();
                async move {
                    let code = "import time; time.sleep(0.5); _result = 'undisturbed'".to_owned();
                    python.execute(PythonExecuteRequest { code, ..Default::default() }).await
                }
            });
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            let path = folder.path().to_str().unwrap();
            let answer = domain.initialize(initialize(&[("python_paths", path)])).await.unwrap();
            assert!(answer.into_inner().python_provider);
            assert!(domain.health(Empty {}).await.unwrap().into_inner().healthy);
            let code = "import which\n_result = which.value".to_owned();
            let request = PythonExecuteRequest { code, ..Default::default() };
            let answer = python.execute(request).await.unwrap().into_inner();
            let result: Value = serde_json::from_slice(&answer.result).unwrap();
            assert_eq!(result["result"], json!(i), "{result:#}");
            let running = running.await.unwrap().unwrap().into_inner();
            let result: Value = serde_json::from_slice(&running.result).unwrap();
            assert_eq!(result["result"], "undisturbed");
        }
    });
}
