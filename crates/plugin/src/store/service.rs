//! `protocol.ATSStoreService` over the embedded store.
//!
//! It answers as the core does: what is wrong with a request is
//! `success = false` with gRPC status OK, except where the contract says
//! otherwise; but an unset message is an answer here, not the end of the process.
//!
//! **Invariant:** nothing is read or written before the token was compared.

use super::attestation::{Attestation, Command, Filter};
use super::{Store, StoreError};
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use proto::protocol::ats_store_service_server::{AtsStoreService, AtsStoreServiceServer};
use proto::protocol::{self as wire};
use tonic::{Request, Response, Status};

const BAD_TOKEN: &str = "invalid authentication token";
const NO_FILTER: &str = "filter is nil";

/// The service. An empty token accepts every caller.
#[derive(Debug, Clone)]
pub struct StoreService {
    store: Store,
    token: String,
}

impl StoreService {
    #[must_use]
    pub fn new(store: Store, token: impl Into<String>) -> Self {
        Self { store, token: token.into() }
    }

    /// Ready for a tonic router.
    #[must_use]
    pub fn into_server(self) -> AtsStoreServiceServer<Self> {
        AtsStoreServiceServer::new(self)
    }

    /// Compares all bytes, so that the time tells nothing about where they differ.
    fn admits(&self, token: &str) -> bool {
        let differ = self.token.bytes().zip(token.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
        self.token.is_empty() || (self.token.len() == token.len() && differ == 0)
    }
}

#[tonic::async_trait]
impl AtsStoreService for StoreService {
    async fn create_attestation(
        &self,
        request: Request<wire::CreateAttestationRequest>,
    ) -> Result<Response<wire::CreateAttestationResponse>, Status> {
        let request = request.into_inner();
        let done = if self.admits(&request.auth_token) {
            self.keep(request.attestation).await
        } else {
            Err(BAD_TOKEN.to_owned())
        };
        let error = done.err().unwrap_or_default();
        Ok(Response::new(wire::CreateAttestationResponse { success: error.is_empty(), error }))
    }

    async fn attestation_exists(
        &self,
        request: Request<wire::AttestationExistsRequest>,
    ) -> Result<Response<wire::AttestationExistsResponse>, Status> {
        let request = request.into_inner();
        let exists = self.admits(&request.auth_token)
            && self.store.exists(request.id).await.map_err(|error| status(&error))?;
        Ok(Response::new(wire::AttestationExistsResponse { exists }))
    }

    async fn generate_and_create_attestation(
        &self,
        request: Request<wire::GenerateAttestationRequest>,
    ) -> Result<Response<wire::GenerateAttestationResponse>, Status> {
        let request = request.into_inner();
        let done = if self.admits(&request.auth_token) {
            self.generate(request.command).await
        } else {
            Err(BAD_TOKEN.to_owned())
        };
        Ok(Response::new(match done {
            Ok(attestation) => wire::GenerateAttestationResponse {
                success: true,
                error: String::new(),
                attestation: Some(attestation.into()),
            },
            Err(error) => {
                wire::GenerateAttestationResponse { success: false, error, attestation: None }
            }
        }))
    }

    async fn batch_generate_and_create_attestations(
        &self,
        request: Request<wire::BatchGenerateAttestationRequest>,
    ) -> Result<Response<wire::BatchGenerateAttestationResponse>, Status> {
        let request = request.into_inner();
        let (created, error) = if self.admits(&request.auth_token) {
            self.batch(request.commands).await
        } else {
            (0, BAD_TOKEN.to_owned())
        };
        Ok(Response::new(wire::BatchGenerateAttestationResponse {
            success: error.is_empty(),
            error,
            created: i32::try_from(created).unwrap_or(i32::MAX),
        }))
    }

    async fn get_attestations(
        &self,
        request: Request<wire::GetAttestationsRequest>,
    ) -> Result<Response<wire::GetAttestationsResponse>, Status> {
        let request = request.into_inner();
        let found = match request.filter {
            _ if !self.admits(&request.auth_token) => Err(BAD_TOKEN.to_owned()),
            None => Err(NO_FILTER.to_owned()),
            Some(filter) => self.store.query(filter.into()).await.map_err(|error| chain(&error)),
        };
        Ok(Response::new(match found {
            Ok(found) => wire::GetAttestationsResponse {
                success: true,
                error: String::new(),
                attestations: found.into_iter().map(Into::into).collect(),
            },
            Err(error) => {
                wire::GetAttestationsResponse { success: false, error, attestations: Vec::new() }
            }
        }))
    }

    type GetAttestationsStreamStream = BoxStream<'static, Result<wire::Attestation, Status>>;

    async fn get_attestations_stream(
        &self,
        request: Request<wire::GetAttestationsRequest>,
    ) -> Result<Response<Self::GetAttestationsStreamStream>, Status> {
        let request = request.into_inner();
        if !self.admits(&request.auth_token) {
            return Err(Status::unknown(BAD_TOKEN));
        }
        let filter: Filter =
            request.filter.ok_or_else(|| Status::invalid_argument(NO_FILTER))?.into();
        let pages = stream::try_unfold(self.store.pages(filter), |mut pages| async move {
            let page = pages.next().await.map_err(|error| status(&error))?;
            Ok::<_, Status>(page.map(|page| (page, pages)))
        });
        let rows = pages
            .map_ok(|page| stream::iter(page.into_iter().map(|row| Ok(row.into()))))
            .try_flatten();
        Ok(Response::new(rows.boxed()))
    }
}

impl StoreService {
    async fn keep(&self, attestation: Option<wire::Attestation>) -> Result<(), String> {
        let attestation = attestation.ok_or("attestation is nil")?;
        let attestation = Attestation::try_from(attestation)
            .map_err(|error| format!("failed to convert attestation: {error}"))?;
        self.store.keep(attestation).await.map(|_| ()).map_err(|error| chain(&error))
    }

    async fn generate(
        &self,
        command: Option<wire::AttestationCommand>,
    ) -> Result<Attestation, String> {
        let command = command.ok_or("command is nil")?;
        let command = Command::try_from(command)
            .map_err(|error| format!("failed to convert command: {error}"))?;
        self.store
            .create(command)
            .await
            .map_err(|error| format!("failed to generate attestation: {}", chain(&error)))
    }

    async fn batch(&self, commands: Vec<wire::AttestationCommand>) -> (u32, String) {
        let commands: Result<Vec<Command>, _> =
            commands.into_iter().map(Command::try_from).collect();
        let commands = match commands {
            Ok(commands) => commands,
            Err(error) => return (0, format!("failed to convert command: {error}")),
        };
        match self.store.create_many(commands).await {
            Ok(created) => (created, String::new()),
            Err(error) => {
                let text = format!(
                    "batch write failed after {}/{}: {}",
                    error.created,
                    error.total,
                    chain(&error.source)
                );
                (error.created, text)
            }
        }
    }
}

/// The error with its causes: the caller sees only text.
fn chain(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn status(error: &StoreError) -> Status {
    Status::unknown(chain(error))
}
