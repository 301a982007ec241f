"""PutModelInvocationLoggingConfiguration, and Get and Delete."""

import orjson
from starlette.requests import Request
from starlette.responses import Response

from invoke_api.operations.alone import check_alone
from invoke_api.operations.bodies import coral_schema
from invoke_api.operations.call import admit_caller
from invoke_api.operations.client import read_body
from invoke_api.operations.replies import Reply
from invoke_api.operations.services import services_of


async def put_logging_configuration(request: Request) -> Response:
    """Bucket, log group and role are kept and given back, and nothing is sent there."""
    body = await read_body(request)
    caller = admit_caller(request, body)
    check_alone(services_of(request), "this configuration")
    configuration = coral_schema("logging_configuration.json").parse(body)["loggingConfig"]
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
    check_alone(services_of(request), "this configuration")
    configurations = services_of(request).logging
    configurations.put(caller.account_id, caller.region, None)
    return Reply(request, b"{}")
