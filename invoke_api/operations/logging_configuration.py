"""PutModelInvocationLoggingConfiguration, and its Get and Delete."""

import orjson

from invoke_api.operations.request_checks import check_alone, coral_schema
from invoke_api.pipeline.admission import admit_caller, read_and_admit
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.responses import HttpResponse, json_response


async def put_logging_configuration(call: Call) -> HttpResponse:
    """Keep the configuration. Nothing is sent to its bucket or log group."""
    await call.read_body()
    caller = admit_caller(call)
    check_alone(call.services, "this configuration")
    configuration = coral_schema("logging_configuration.json").parse(call.body)["loggingConfig"]
    configurations = call.services.logging
    configurations.put(caller.account_id, caller.region, configuration)
    return json_response(call, b"{}")


async def get_logging_configuration(call: Call) -> HttpResponse:
    caller = await read_and_admit(call)
    configurations = call.services.logging
    found = configurations.of(caller.account_id, caller.region)
    return json_response(call, orjson.dumps({} if found is None else {"loggingConfig": found}))


async def delete_logging_configuration(call: Call) -> HttpResponse:
    caller = await read_and_admit(call)
    check_alone(call.services, "this configuration")
    configurations = call.services.logging
    configurations.put(caller.account_id, caller.region, None)
    return json_response(call, b"{}")
