"""PutModelInvocationLoggingConfiguration, and Get and Delete."""

import orjson
from starlette.requests import Request
from starlette.responses import Response

from invoke_api.operations.call import admit_caller
from invoke_api.operations.client import read_body
from invoke_api.operations.replies import Reply
from invoke_api.operations.services import services_of
from invoke_api.validation import shapes
from invoke_api.validation.shapes import Flag, Structure, Text

S3_CONFIG = Structure(
    {"bucketName": Text(shortest=3, longest=63), "keyPrefix": Text(longest=1024)},
    required=("bucketName",),
)
CLOUD_WATCH_CONFIG = Structure(
    {
        "logGroupName": Text(shortest=1, longest=512),
        "roleArn": Text(longest=2048, pattern="arn:aws(-[^:]+)?:iam::([0-9]{12})?:role/.+"),
        "largeDataDeliveryS3Config": S3_CONFIG,
    },
    required=("logGroupName", "roleArn"),
)
LOGGING_CONFIG = Structure(
    {
        "cloudWatchConfig": CLOUD_WATCH_CONFIG,
        "s3Config": S3_CONFIG,
        "textDataDeliveryEnabled": Flag(),
        "imageDataDeliveryEnabled": Flag(),
        "embeddingDataDeliveryEnabled": Flag(),
        "videoDataDeliveryEnabled": Flag(),
        "audioDataDeliveryEnabled": Flag(),
    }
)
PUT = Structure({"loggingConfig": LOGGING_CONFIG}, required=("loggingConfig",))


async def put_logging_configuration(request: Request) -> Response:
    """Bucket, log group and role are kept and given back, and nothing is sent there."""
    body = await read_body(request)
    caller = admit_caller(request, body)
    configuration = shapes.read_body(PUT, body)["loggingConfig"]
    configurations = services_of(request).logging
    configurations.put(caller.account_id, caller.region, configuration)
    return Reply(request, b"{}")


async def get_logging_configuration(request: Request) -> Response:
    caller = admit_caller(request, await read_body(request))
    configurations = services_of(request).logging
    found = configurations.of(caller.account_id, caller.region)
    return Reply(request, orjson.dumps({} if found is None else {"loggingConfig": found}))


async def delete_logging_configuration(request: Request) -> Response:
    caller = admit_caller(request, await read_body(request))
    configurations = services_of(request).logging
    configurations.put(caller.account_id, caller.region, None)
    return Reply(request, b"{}")
