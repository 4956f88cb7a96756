"""The messages of the Open Inference Protocol's gRPC service, made at run time from one table.

Generated modules would tie podium to the protobuf that generated them, and two of them for the package `inference` cannot
live in one process: tritonclient and KServe have theirs in protobuf's default pool. These stand in a pool of their own,
made through what every protobuf from 4.25 on offers.

Numbers and names are Triton's (github.com/triton-inference-server/common, protobuf/grpc_service.proto), as far as podium
has the method.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"

_PARAMETERS = "4 map InferParameter parameters"
_TENSOR = ("1 string name", "2 string datatype", "3 repeated int64 shape", _PARAMETERS, "5 InferTensorContents contents")
_MOVE = ("1 string repository_name", "2 string model_name", "3 map ModelRepositoryParameter parameters")
_NAME = ("1 string name", "2 string version")
_INFERENCE = ("1 string model_name", "2 string model_version", "3 string id", _PARAMETERS)

_MESSAGES: Mapping[str, tuple[str, ...]] = {
    "ServerLiveRequest": (),
    "ServerLiveResponse": ("1 bool live",),
    "ServerReadyRequest": (),
    "ServerReadyResponse": ("1 bool ready",),
    "ModelReadyRequest": _NAME,
    "ModelReadyResponse": ("1 bool ready",),
    "ServerMetadataRequest": (),
    "ServerMetadataResponse": ("1 string name", "2 string version", "3 repeated string extensions"),
    "ModelMetadataRequest": _NAME,
    "ModelMetadataResponse": (
        "1 string name",
        "2 repeated string versions",
        "3 string platform",
        "4 repeated ModelMetadataResponse.TensorMetadata inputs",
        "5 repeated ModelMetadataResponse.TensorMetadata outputs",
        "6 map string properties",
    ),
    "ModelMetadataResponse.TensorMetadata": ("1 string name", "2 string datatype", "3 repeated int64 shape"),
    "InferParameter": (
        "1 oneof bool bool_param",
        "2 oneof int64 int64_param",
        "3 oneof string string_param",
        "4 oneof double double_param",
        "5 oneof uint64 uint64_param",
    ),
    "InferTensorContents": (
        "1 repeated bool bool_contents",
        "2 repeated int32 int_contents",
        "3 repeated int64 int64_contents",
        "4 repeated uint32 uint_contents",
        "5 repeated uint64 uint64_contents",
        "6 repeated float fp32_contents",
        "7 repeated double fp64_contents",
        "8 repeated bytes bytes_contents",
    ),
    "ModelInferRequest": (
        *_INFERENCE,
        "5 repeated ModelInferRequest.InferInputTensor inputs",
        "6 repeated ModelInferRequest.InferRequestedOutputTensor outputs",
        "7 repeated bytes raw_input_contents",
    ),
    "ModelInferRequest.InferInputTensor": _TENSOR,
    "ModelInferRequest.InferRequestedOutputTensor": ("1 string name", "2 map InferParameter parameters"),
    "ModelInferResponse": (
        *_INFERENCE,
        "5 repeated ModelInferResponse.InferOutputTensor outputs",
        "6 repeated bytes raw_output_contents",
    ),
    "ModelInferResponse.InferOutputTensor": _TENSOR,
    "ModelStreamInferResponse": ("1 string error_message", "2 ModelInferResponse infer_response"),
    "ModelRepositoryParameter": (
        "1 oneof bool bool_param",
        "2 oneof int64 int64_param",
        "3 oneof string string_param",
        "4 oneof bytes bytes_param",
    ),
    "RepositoryIndexRequest": ("1 string repository_name", "2 bool ready"),
    "RepositoryIndexResponse": ("1 repeated RepositoryIndexResponse.ModelIndex models",),
    "RepositoryIndexResponse.ModelIndex": ("1 string name", "2 string version", "3 string state", "4 string reason"),
    "RepositoryModelLoadRequest": _MOVE,
    "RepositoryModelLoadResponse": (),
    "RepositoryModelUnloadRequest": _MOVE,
    "RepositoryModelUnloadResponse": (),
}
"""By name, fields as `number [repeated | map | oneof] type name`; keys of maps are strings."""

METHODS: Mapping[str, tuple[str, str]] = {
    **{
        name: (f"{name}Request", f"{name}Response")
        for name in (
            "ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer", "RepositoryIndex",
            "RepositoryModelLoad", "RepositoryModelUnload",
        )
    },
    "ModelStreamInfer": ("ModelInferRequest", "ModelStreamInferResponse"),
}  # fmt: skip
"""What each method takes and gives; both of `ModelStreamInfer` are streams."""
STREAMED = "ModelStreamInfer"

_FIELD = re.compile(r"(\d+) (?:(repeated|map|oneof) )?(\S+) (\w+)")
_Field = descriptor_pb2.FieldDescriptorProto
_CHOICE = "parameter_choice"


@dataclass(frozen=True, slots=True)
class Schema:
    """A service with its messages.

    Args:
        file: Names it.
        package: Its name.
        messages: By name, fields as `number [repeated | map | oneof] type name`; keys of maps are strings.
        service: Its name, without the package.
        methods: What each takes and gives; both of `STREAMED` are streams.
    """

    file: str
    package: str
    messages: Mapping[str, tuple[str, ...]]
    service: str
    methods: Mapping[str, tuple[str, str]]


INFERENCE = Schema("podium/open_inference.proto", PACKAGE, _MESSAGES, SERVICE.rpartition(".")[2], METHODS)


class Messages:
    """One class for each message, by its name: `Messages().ModelInferRequest`.

    Args:
        more: Schemas beside the protocol's own; no two messages have the same name.

    Attributes:
        pool: Where they are described, for reflection.
    """

    def __init__(self, *more: Schema) -> None:
        self.pool = descriptor_pool.DescriptorPool()
        for schema in (INFERENCE, *more):
            self.pool.Add(_file(schema))
            for name in schema.messages:
                found = self.pool.FindMessageTypeByName(f"{schema.package}.{name}")
                setattr(self, name.replace(".", ""), message_factory.GetMessageClass(found))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"There is no message {name}.")


def _file(schema: Schema) -> descriptor_pb2.FileDescriptorProto:
    package = schema.package
    file = descriptor_pb2.FileDescriptorProto(name=schema.file, package=package, syntax="proto3")
    made: dict[str, Any] = {}
    for name, fields in schema.messages.items():
        outer, _, inner = name.rpartition(".")
        message = made[outer].nested_type.add(name=inner) if outer else file.message_type.add(name=inner)
        made[name] = message
        for text in fields:
            _add_field(message, package, name, text)
    service = file.service.add(name=schema.service)
    for name, (taken, given) in schema.methods.items():
        is_stream = name == STREAMED
        service.method.add(
            name=name,
            input_type=f".{package}.{taken}",
            output_type=f".{package}.{given}",
            client_streaming=is_stream,
            server_streaming=is_stream,
        )
    return file


def _add_field(message: Any, package: str, outer: str, text: str) -> None:
    found = _FIELD.fullmatch(text)
    assert found is not None, text
    number, how, kind, name = found.groups()
    if how == "map":
        entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
        entry.options.map_entry = True
        _describe(entry.field.add(name="key", number=1), package, "string")
        _describe(entry.field.add(name="value", number=2), package, kind)
        kind = f"{outer}.{entry.name}"
    field = message.field.add(name=name, number=int(number))
    _describe(field, package, kind)
    if how in ("repeated", "map"):
        field.label = _Field.LABEL_REPEATED
    if how == "oneof":
        if not message.oneof_decl:
            message.oneof_decl.add(name=_CHOICE)
        field.oneof_index = 0


def _describe(field: Any, package: str, kind: str) -> None:
    field.label = _Field.LABEL_OPTIONAL
    scalar = getattr(_Field, f"TYPE_{kind.upper()}", None)
    if scalar is None:
        field.type = _Field.TYPE_MESSAGE
        field.type_name = f".{package}.{kind}"
    else:
        field.type = scalar
