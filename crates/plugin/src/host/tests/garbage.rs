//! Servers that answer what makes no sense: other bytes, other protocols,
//! half an answer, a connection cut in the middle.

use super::{TOKEN, call, connected, refused, soon, within};
use crate::host::{Host, HostErrorKind};
use proto::protocol as wire;
use proto::protocol::ats_store_service_server::{AtsStoreService, AtsStoreServiceServer};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// A store that says yes and means nothing.
struct Empty;

#[tonic::async_trait]
impl AtsStoreService for Empty {
    async fn create_attestation(
        &self,
        _: Request<wire::CreateAttestationRequest>,
    ) -> Result<Response<wire::CreateAttestationResponse>, Status> {
        Err(Status::unimplemented("not called"))
    }
    async fn attestation_exists(
        &self,
        _: Request<wire::AttestationExistsRequest>,
    ) -> Result<Response<wire::AttestationExistsResponse>, Status> {
        Err(Status::internal("a panic somewhere"))
    }
    async fn generate_and_create_attestation(
        &self,
        request: Request<wire::GenerateAttestationRequest>,
    ) -> Result<Response<wire::GenerateAttestationResponse>, Status> {
        assert_eq!(request.into_inner().auth_token, TOKEN);
        Ok(Response::new(wire::GenerateAttestationResponse { success: true, ..Default::default() }))
    }
    async fn batch_generate_and_create_attestations(
        &self,
        _: Request<wire::BatchGenerateAttestationRequest>,
    ) -> Result<Response<wire::BatchGenerateAttestationResponse>, Status> {
        Ok(Response::new(wire::BatchGenerateAttestationResponse {
            success: false,
            error: "batch write failed after 3/9: disk".to_owned(),
            created: 3,
        }))
    }
    async fn get_attestations(
        &self,
        _: Request<wire::GetAttestationsRequest>,
    ) -> Result<Response<wire::GetAttestationsResponse>, Status> {
        let value =
            prost_types::Value { kind: Some(prost_types::value::Kind::NumberValue(f64::INFINITY)) };
        let fields = [("x".to_owned(), value)].into();
        let attributes = Some(prost_types::Struct { fields });
        let row = wire::Attestation { attributes, ..Default::default() };
        Ok(Response::new(wire::GetAttestationsResponse {
            success: true,
            error: String::new(),
            attestations: vec![row],
        }))
    }
    type GetAttestationsStreamStream =
        futures_util::stream::BoxStream<'static, Result<wire::Attestation, Status>>;
    async fn get_attestations_stream(
        &self,
        _: Request<wire::GetAttestationsRequest>,
    ) -> Result<Response<Self::GetAttestationsStreamStream>, Status> {
        let row = Ok(wire::Attestation { id: "1".to_owned(), ..Default::default() });
        let cut = Err(Status::unavailable("the plugin restarts"));
        Ok(Response::new(Box::pin(futures_util::stream::iter([row, cut]))))
    }
}

async fn served() -> Host {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = connected(&listener.local_addr().unwrap().to_string());
    let server = Server::builder()
        .add_service(AtsStoreServiceServer::new(Empty))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    host
}

#[tokio::test]
async fn answers_without_sense_are_typed() {
    let host = served().await;
    let store = HostErrorKind::StoreUnavailable;
    let args = json!({"subjects": "a", "predicates": "p"});
    let words = "makes no sense: no attestation";
    refused(&host, &soon(), "attest", args.clone(), store, words).await;
    refused(&host, &soon(), "last", json!({}), store, "`attributes.x` is inf").await;
    refused(&host, &soon(), "exists", json!({"id": "a"}), store, "a panic somewhere").await;
    let cut = refused(&host, &soon(), "query", json!({}), store, "the plugin restarts").await;
    assert!(cut.retryable);
    let many = json!({"items": vec![args; 9]});
    let refusal = HostErrorKind::Refused;
    let partial = refused(&host, &soon(), "attest_many", many, refusal, "after 3/9").await;
    assert_eq!(partial.created, 3);
}

/// A raw server that answers every connection with `bytes` and hangs up.
async fn raw(bytes: &'static [u8]) -> Host {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = connected(&listener.local_addr().unwrap().to_string());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut seen = [0; 1024];
            // what was asked does not matter, nor whether the answer arrives
            let _ = stream.read(&mut seen).await;
            let _ = stream.write_all(bytes).await;
        }
    });
    host
}

#[tokio::test]
async fn bytes_that_are_no_grpc_are_the_stores_failure_and_never_a_hang() {
    // nothing, another protocol, a frame of HTTP/2 settings and then noise
    for bytes in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
        b"\0\0\0\x04\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let host = raw(bytes).await;
        let started = Instant::now();
        for (name, args) in
            [("attest", json!({"subjects": "a", "predicates": "p"})), ("query", json!({}))]
        {
            let context = within(Duration::from_secs(3));
            let error = call(&host, &context, name, args).await.unwrap_err();
            assert_eq!(error.kind, HostErrorKind::StoreUnavailable, "{bytes:?}: {error}");
            assert_eq!(error.call, name);
        }
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn a_grpc_answer_whose_message_does_not_parse_is_the_stores_failure() {
    // the right protocol and path, but the bytes of another message
    #[derive(Clone)]
    struct Noise;
    impl tower::Service<http::Request<tonic::body::Body>> for Noise {
        type Response = http::Response<tonic::body::Body>;
        type Error = std::convert::Infallible;
        type Future = std::future::Ready<Result<Self::Response, Self::Error>>;
        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Self::Error>> {
            std::task::Poll::Ready(Ok(()))
        }
        fn call(&mut self, _: http::Request<tonic::body::Body>) -> Self::Future {
            // uncompressed, 3 bytes: field 3 (a message) with a length beyond the end
            let frame = bytes::Bytes::from_static(b"\0\0\0\0\x03\x1a\x7f\0");
            let body = tonic::body::Body::new(http_body_util::Full::new(frame));
            let answer = http::Response::builder().header("content-type", "application/grpc");
            std::future::ready(Ok(answer.body(body).expect("a response")))
        }
    }
    impl tonic::server::NamedService for Noise {
        const NAME: &'static str = "protocol.ATSStoreService";
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = connected(&listener.local_addr().unwrap().to_string());
    let incoming = TcpListenerStream::new(listener);
    tokio::spawn(Server::builder().add_service(Noise).serve_with_incoming(incoming));
    let args = json!({"subjects": "a", "predicates": "p"});
    let store = HostErrorKind::StoreUnavailable;
    refused(&host, &soon(), "attest", args, store, "makes no sense").await;
}
