//! Compiles the .proto files without an installed protoc.
//!
//! **Invariant:** the output depends on the .proto files alone, never on the
//! machine: no protoc, no include path outside this crate.

use std::path::{Path, PathBuf};

use prost::Message as _;
use tonic_prost_build::{Config, FileDescriptorSet};

/// Bodies that may be tens of megabytes: handed on without a copy.
const LARGE: [&str; 3] = [
    ".protocol.HTTPRequest.body",
    ".protocol.HTTPResponse.body",
    ".protocol.PythonExecuteResponse.result",
];

/// The QNTX contract, one file per service.
const PROTOCOL: [&str; 12] = [
    "protocol/atsstore.proto",
    "protocol/domain.proto",
    "protocol/embedding.proto",
    "protocol/fetch.proto",
    "protocol/fileservice.proto",
    "protocol/ground.proto",
    "protocol/llm.proto",
    "protocol/python.proto",
    "protocol/queue.proto",
    "protocol/schedule.proto",
    "protocol/search.proto",
    "protocol/vectorsearch.proto",
];

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    println!("cargo:rerun-if-changed=proto");
    frames()?;
    if std::env::var_os("CARGO_FEATURE_HOST").is_some() {
        protocol()?;
    }
    Ok(())
}

/// Supervisor, zygote and child: messages only, no services.
fn frames() -> Result<(), Failure> {
    if !Path::new("proto/frame.proto").exists() {
        return Ok(());
    }
    Config::new().compile_fds(compile(&["frame.proto"])?)?;
    Ok(())
}

/// The QNTX contract: clients and servers, and the descriptors for reflection.
fn protocol() -> Result<(), Failure> {
    let descriptors = compile(&PROTOCOL)?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("protocol.bin"), descriptors.encode_to_vec())?;
    LARGE
        .iter()
        .fold(tonic_prost_build::configure(), |builder, field| builder.bytes(field))
        .compile_fds(descriptors)?;
    Ok(())
}

fn compile(files: &[&str]) -> Result<FileDescriptorSet, Failure> {
    Ok(protox::compile(files, ["proto"])?)
}
