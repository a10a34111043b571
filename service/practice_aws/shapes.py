"""Requests and responses as botocore's service models describe them; nothing else is accepted or sent."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any
from urllib.parse import unquote

import botocore.session
from botocore.model import OperationModel, Shape
from botocore.validate import ParamValidator

Json = dict[str, Any]


class NotOurs(Exception):
    """A request the service model does not allow; says which rule, never the content."""


@cache
def operation(service: str, name: str) -> OperationModel:
    """The model of one operation, from botocore's data."""
    found: OperationModel = botocore.session.get_session().get_service_model(service).operation_model(name)
    return found


def read_request(service: str, name: str, path: str, body: bytes) -> Json:
    """The parameters of a request; raises NotOurs where they break the input shape."""
    model = operation(service, name)
    try:
        params = json.loads(body or b"{}")
    except ValueError:
        raise NotOurs("the body is no JSON") from None
    if not isinstance(params, dict):
        raise NotOurs("the body is no JSON object")
    params = dict(_blobs(params, model.input_shape, base64.b64decode))
    params |= _uri_parameters(model, path)
    _validate(params, model.input_shape)
    return params


def write_response(service: str, name: str, result: Json) -> bytes:
    """The JSON body of a response; raises NotOurs where `result` breaks the output shape."""
    shape = operation(service, name).output_shape
    _validate(result, shape)
    return json.dumps(_blobs(result, shape, lambda b: base64.b64encode(b).decode("ascii"))).encode()


def error_status(service: str, name: str, code: str) -> int:
    """The HTTP status an error of this operation has; KeyError for a code the operation does not know."""
    for shape in operation(service, name).error_shapes:
        if shape.name == code:
            return int(shape.metadata.get("error", {}).get("httpStatusCode", 400))
    raise KeyError(code)


def _uri_parameters(model: OperationModel, path: str) -> Json:
    """Values of the `{name}` parts of the operation's URI."""
    names = [p.strip("{}") if p.startswith("{") else None for p in model.http["requestUri"].split("/")]
    parts = path.split("/")
    if len(parts) != len(names):
        raise NotOurs("the path is not the operation's")
    places = {m.serialization.get("name", n): n for n, m in model.input_shape.members.items()}
    return {places[name]: unquote(part) for name, part in zip(names, parts, strict=True) if name}


def _validate(params: Json, shape: Shape) -> None:
    report = ParamValidator().validate(params, shape)
    if report.has_errors():
        raise NotOurs(report.generate_report()[:500])


def _blobs(value: Any, shape: Shape | None, change: Any) -> Any:
    """`value` with every blob changed (base64 on the wire, bytes inside)."""
    if shape is None:
        return value
    if shape.type_name == "blob":
        return change(value)
    if shape.type_name == "structure" and isinstance(value, dict):
        return {k: _blobs(v, shape.members.get(k), change) for k, v in value.items()}
    if shape.type_name == "list" and isinstance(value, list):
        return [_blobs(v, shape.member, change) for v in value]
    if shape.type_name == "map" and isinstance(value, dict):
        return {k: _blobs(v, shape.value, change) for k, v in value.items()}
    return value
