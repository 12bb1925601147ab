//! Every message and method of the QNTX contract against tables and bytes that
//! prost had no part in (`golden.txt`).

#![cfg(feature = "host")]

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use proto::protocol::*;
use std::collections::BTreeMap;
use std::fmt::Debug;

struct Block {
    fields: String,
    bytes: Vec<u8>,
    meaning: String,
}

fn golden() -> BTreeMap<String, Block> {
    let text = include_str!("golden.txt");
    let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut blocks = BTreeMap::new();
    while let Some(head) = lines.next() {
        let (name, fields) = head.split_once(':').expect("name: fields");
        let hex = lines.next().expect("bytes").trim();
        let hex = if hex == "-" { "" } else { hex };
        let meaning = lines.next().expect("meaning").trim().to_owned();
        let bytes = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
            .collect();
        let block = Block { fields: fields.trim().to_owned(), bytes, meaning };
        assert!(blocks.insert(name.to_owned(), block).is_none(), "{name} twice");
    }
    blocks
}

fn descriptors() -> FileDescriptorSet {
    FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("descriptors")
}

/// The messages of package `protocol`, by name.
fn messages() -> BTreeMap<String, DescriptorProto> {
    let files = descriptors().file.into_iter().filter(|file| file.package() == "protocol");
    files.flat_map(|file| file.message_type).map(|m| (m.name().to_owned(), m)).collect()
}

/// Decodes the golden bytes as `M`, compares the meaning, encodes again.
fn holds<M: Message + Default + Debug>(name: &str) {
    let golden = golden();
    let block = golden.get(name).unwrap_or_else(|| panic!("{name} is not in golden.txt"));
    let message = M::decode(block.bytes.as_slice()).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(format!("{message:?}"), block.meaning);
    assert_eq!(message.encode_to_vec(), block.bytes, "{name} is written differently");
}

/// The messages by their names on the wire and in Rust.
macro_rules! all {
    ($($wire:ident $rust:ty;)*) => {
        #[test]
        fn every_message_reads_and_writes_the_golden_bytes() {
            let mut checked: Vec<&str> = Vec::new();
            $(holds::<$rust>(stringify!($wire)); checked.push(stringify!($wire));)*
            checked.sort_unstable();
            let known: Vec<String> = messages().into_keys().collect();
            assert_eq!(checked, known, "a message without golden bytes");
        }
    };
}

#[test]
fn every_message_has_the_fields_of_the_contract_and_no_others() {
    let golden = golden();
    let messages = messages();
    assert_eq!(golden.keys().collect::<Vec<_>>(), messages.keys().collect::<Vec<_>>());
    for (name, block) in golden {
        let message = &messages[&name];
        let mut fields: Vec<_> = message.field.iter().collect();
        fields.sort_by_key(|field| field.number());
        let fields: Vec<String> = fields
            .into_iter()
            .map(|field| format!("{} {} {}", field.number(), field.name(), kind(message, field)))
            .collect();
        assert_eq!(fields.join(", "), block.fields, "{name}");
    }
}

fn kind(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let short = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let simple = match field.r#type() {
        Type::String => "string".to_owned(),
        Type::Bytes => "bytes".to_owned(),
        Type::Bool => "bool".to_owned(),
        Type::Int32 => "int32".to_owned(),
        Type::Int64 => "int64".to_owned(),
        Type::Double => "double".to_owned(),
        Type::Float => "float".to_owned(),
        Type::Enum => "enum".to_owned(),
        Type::Message => {
            let name = short(field.type_name());
            let entry = message.nested_type.iter().find(|nested| nested.name() == name);
            match entry {
                Some(entry) => {
                    let [key, value] = [0, 1].map(|at| kind(entry, &entry.field[at]));
                    return format!("map<{key},{value}>");
                }
                None => name,
            }
        }
        // not used by the contract: shown, so that the comparison fails
        other @ (Type::Uint64
        | Type::Uint32
        | Type::Sint32
        | Type::Sint64
        | Type::Fixed64
        | Type::Fixed32
        | Type::Sfixed32
        | Type::Sfixed64
        | Type::Group) => format!("{other:?}"),
    };
    if field.label() == Label::Repeated {
        format!("rep {simple}")
    } else if field.proto3_optional() {
        format!("opt {simple}")
    } else {
        simple
    }
}

#[test]
fn the_kinds_of_web_socket_messages_are_the_contracts() {
    use web_socket_message::Type::{Close, Connect, Data, Error, Ping, Pong};
    let numbers = [Connect, Data, Close, Ping, Pong, Error].map(i32::from);
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
}

/// The methods as CONTRACT 3 lists them.
const METHODS: &str = "
ATSStoreService/AttestationExists AttestationExistsRequest AttestationExistsResponse
ATSStoreService/BatchGenerateAndCreateAttestations BatchGenerateAttestationRequest BatchGenerateAttestationResponse
ATSStoreService/CreateAttestation CreateAttestationRequest CreateAttestationResponse
ATSStoreService/GenerateAndCreateAttestation GenerateAttestationRequest GenerateAttestationResponse
ATSStoreService/GetAttestations GetAttestationsRequest GetAttestationsResponse
ATSStoreService/GetAttestationsStream GetAttestationsRequest stream Attestation
DomainPluginService/ConfigSchema Empty ConfigSchemaResponse
DomainPluginService/ExecuteJob ExecuteJobRequest ExecuteJobResponse
DomainPluginService/HandleHTTP HTTPRequest HTTPResponse
DomainPluginService/HandleWebSocket stream WebSocketMessage stream WebSocketMessage
DomainPluginService/Health Empty HealthResponse
DomainPluginService/Initialize InitializeRequest InitializeResponse
DomainPluginService/Metadata Empty MetadataResponse
DomainPluginService/ParseAxQuery ParseAxQueryRequest ParseAxQueryResponse
DomainPluginService/RegisterGlyphs Empty GlyphDefResponse
DomainPluginService/Shutdown Empty Empty
EmbeddingService/BatchEmbed BatchEmbedRequest BatchEmbedResponse
EmbeddingService/Cluster ClusterRequest ClusterResponse
EmbeddingService/Embed EmbedRequest EmbedResponse
EmbeddingService/GetLabelEligibleClusters GetLabelEligibleClustersRequest GetLabelEligibleClustersResponse
EmbeddingService/ModelInfo ModelInfoRequest ModelInfoResponse
EmbeddingService/SampleClusterTexts SampleClusterTextsRequest SampleClusterTextsResponse
EmbeddingService/SetClusterLabel SetClusterLabelRequest SetClusterLabelResponse
FetchService/Fetch FetchRequest FetchResponse
FileService/ReadFileBase64 ReadFileRequest ReadFileResponse
GroundService/ReadUndelivered ReadUndeliveredRequest ReadUndeliveredResponse
GroundService/WriteToGround WriteToGroundRequest WriteToGroundResponse
LLMService/Chat LLMChatRequest LLMChatResponse
LLMService/StreamChat LLMChatRequest stream LLMChatChunk
PythonService/Execute PythonExecuteRequest PythonExecuteResponse
QueueService/Enqueue EnqueueRequest EnqueueResponse
QueueService/GetJob GetJobRequest GetJobResponse
QueueService/ListJobs ListJobsRequest ListJobsResponse
QueueService/UpdateJob UpdateJobRequest UpdateJobResponse
ScheduleService/CreateSchedule CreateScheduleRequest CreateScheduleResponse
ScheduleService/DeleteSchedule DeleteScheduleRequest DeleteScheduleResponse
ScheduleService/GetSchedule GetScheduleRequest GetScheduleResponse
ScheduleService/PauseSchedule PauseScheduleRequest PauseScheduleResponse
ScheduleService/ResumeSchedule ResumeScheduleRequest ResumeScheduleResponse
SearchService/ConfigureIndex ConfigureIndexRequest ConfigureIndexResponse
SearchService/DeleteDocuments DeleteDocumentsRequest DeleteDocumentsResponse
SearchService/IndexDocuments IndexDocumentsRequest IndexDocumentsResponse
SearchService/Search SearchRequest SearchResponse
VectorSearchService/AddVectors AddVectorsRequest AddVectorsResponse
VectorSearchService/CreateIndex CreateIndexRequest CreateIndexResponse
VectorSearchService/Search VectorSearchRequest VectorSearchResponse
";

#[test]
fn every_method_has_the_name_and_types_of_the_contract() {
    let mut methods = Vec::new();
    for file in descriptors().file {
        for service in &file.service {
            for method in &service.method {
                let side = |streams: bool, name: &str| {
                    let name = name.trim_start_matches(".protocol.");
                    if streams { format!("stream {name}") } else { name.to_owned() }
                };
                methods.push(format!(
                    "{}/{} {} {}",
                    service.name(),
                    method.name(),
                    side(method.client_streaming(), method.input_type()),
                    side(method.server_streaming(), method.output_type()),
                ));
            }
        }
    }
    methods.sort_unstable();
    assert_eq!(methods, METHODS.trim().lines().collect::<Vec<_>>());
}

all! {
    AddVectorsRequest AddVectorsRequest;
    AddVectorsResponse AddVectorsResponse;
    Attachment Attachment;
    Attestation Attestation;
    AttestationCommand AttestationCommand;
    AttestationExistsRequest AttestationExistsRequest;
    AttestationExistsResponse AttestationExistsResponse;
    AttestationFilter AttestationFilter;
    BatchEmbedRequest BatchEmbedRequest;
    BatchEmbedResponse BatchEmbedResponse;
    BatchGenerateAttestationRequest BatchGenerateAttestationRequest;
    BatchGenerateAttestationResponse BatchGenerateAttestationResponse;
    Centroid Centroid;
    ChatMessage ChatMessage;
    ClusterRequest ClusterRequest;
    ClusterResponse ClusterResponse;
    ConfigFieldSchema ConfigFieldSchema;
    ConfigSchemaResponse ConfigSchemaResponse;
    ConfigureIndexRequest ConfigureIndexRequest;
    ConfigureIndexResponse ConfigureIndexResponse;
    CreateAttestationRequest CreateAttestationRequest;
    CreateAttestationResponse CreateAttestationResponse;
    CreateIndexRequest CreateIndexRequest;
    CreateIndexResponse CreateIndexResponse;
    CreateScheduleRequest CreateScheduleRequest;
    CreateScheduleResponse CreateScheduleResponse;
    DeleteDocumentsRequest DeleteDocumentsRequest;
    DeleteDocumentsResponse DeleteDocumentsResponse;
    DeleteScheduleRequest DeleteScheduleRequest;
    DeleteScheduleResponse DeleteScheduleResponse;
    EligibleCluster EligibleCluster;
    EmbedRequest EmbedRequest;
    EmbedResponse EmbedResponse;
    EmbeddingVector EmbeddingVector;
    Empty Empty;
    EnqueueRequest EnqueueRequest;
    EnqueueResponse EnqueueResponse;
    ExecuteJobRequest ExecuteJobRequest;
    ExecuteJobResponse ExecuteJobResponse;
    FetchRequest FetchRequest;
    FetchResponse FetchResponse;
    GenerateAttestationRequest GenerateAttestationRequest;
    GenerateAttestationResponse GenerateAttestationResponse;
    GetAttestationsRequest GetAttestationsRequest;
    GetAttestationsResponse GetAttestationsResponse;
    GetJobRequest GetJobRequest;
    GetJobResponse GetJobResponse;
    GetLabelEligibleClustersRequest GetLabelEligibleClustersRequest;
    GetLabelEligibleClustersResponse GetLabelEligibleClustersResponse;
    GetScheduleRequest GetScheduleRequest;
    GetScheduleResponse GetScheduleResponse;
    GlyphDef GlyphDef;
    GlyphDefResponse GlyphDefResponse;
    HTTPHeader HttpHeader;
    HTTPRequest HttpRequest;
    HTTPResponse HttpResponse;
    HealthResponse HealthResponse;
    IndexDocumentsRequest IndexDocumentsRequest;
    IndexDocumentsResponse IndexDocumentsResponse;
    InitializeRequest InitializeRequest;
    InitializeResponse InitializeResponse;
    Job Job;
    JobLogEntry JobLogEntry;
    LLMChatChunk LlmChatChunk;
    LLMChatRequest LlmChatRequest;
    LLMChatResponse LlmChatResponse;
    ListJobsRequest ListJobsRequest;
    ListJobsResponse ListJobsResponse;
    MetadataResponse MetadataResponse;
    ModelInfoRequest ModelInfoRequest;
    ModelInfoResponse ModelInfoResponse;
    ParseAxQueryRequest ParseAxQueryRequest;
    ParseAxQueryResponse ParseAxQueryResponse;
    PauseScheduleRequest PauseScheduleRequest;
    PauseScheduleResponse PauseScheduleResponse;
    Progress Progress;
    PulseState PulseState;
    PythonExecuteRequest PythonExecuteRequest;
    PythonExecuteResponse PythonExecuteResponse;
    ReadFileRequest ReadFileRequest;
    ReadFileResponse ReadFileResponse;
    ReadUndeliveredRequest ReadUndeliveredRequest;
    ReadUndeliveredResponse ReadUndeliveredResponse;
    ResumeScheduleRequest ResumeScheduleRequest;
    ResumeScheduleResponse ResumeScheduleResponse;
    RouteInfo RouteInfo;
    SampleClusterTextsRequest SampleClusterTextsRequest;
    SampleClusterTextsResponse SampleClusterTextsResponse;
    SamplerStageProto SamplerStageProto;
    ScheduleInfo ScheduleInfo;
    ScheduledJob ScheduledJob;
    SearchHit SearchHit;
    SearchRequest SearchRequest;
    SearchResponse SearchResponse;
    SetClusterLabelRequest SetClusterLabelRequest;
    SetClusterLabelResponse SetClusterLabelResponse;
    TokenCandidateProto TokenCandidateProto;
    TokenSignalProto TokenSignalProto;
    UpdateJobRequest UpdateJobRequest;
    UpdateJobResponse UpdateJobResponse;
    VectorEntry VectorEntry;
    VectorSearchHit VectorSearchHit;
    VectorSearchRequest VectorSearchRequest;
    VectorSearchResponse VectorSearchResponse;
    WatcherRegistration WatcherRegistration;
    WebSocketMessage WebSocketMessage;
    WriteToGroundRequest WriteToGroundRequest;
    WriteToGroundResponse WriteToGroundResponse;
}
