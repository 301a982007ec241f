"""PutModelInvocationLoggingConfiguration, and Get and Delete."""

import orjson

from invoke_api.operations.request_checks import check_alone, coral_schema
from invoke_api.pipeline.admission import admit_caller, read_and_admit
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.responses import Reply, json_reply


async def put_logging_configuration(call: Call) -> Reply:
    """Bucket, log group and role are kept and given back, and nothing is sent there."""
    await call.read_body()
    caller = admit_caller(call)
    check_alone(call.services, "this configuration")
    configuration = coral_schema("logging_configuration.json").parse(call.body)["loggingConfig"]
    configurations = call.services.logging
    configurations.put(caller.account_id, caller.region, configuration)
    return json_reply(call, b"{}")


async def get_logging_configuration(call: Call) -> Reply:
    caller = await read_and_admit(call)
    configurations = call.services.logging
    found = configurations.of(caller.account_id, caller.region)
    return json_reply(call, orjson.dumps({} if found is None else {"loggingConfig": found}))


async def delete_logging_configuration(call: Call) -> Reply:
    caller = await read_and_admit(call)
    check_alone(call.services, "this configuration")
    configurations = call.services.logging
    configurations.put(caller.account_id, caller.region, None)
    return json_reply(call, b"{}")
