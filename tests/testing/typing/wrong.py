"""Uses of invoke_api.testing that a type checker refuses, each with mypy's code of the error."""

from invoke_api.testing import Bedrock, Rule, ToolCall

CALL: ToolCall = {"arguments": {}}  # E: typeddict-item
RULE: Rule = {"reply": "Hi", "time": 1}  # E: typeddict-unknown-key


def replies(bedrock: Bedrock) -> None:
    bedrock.reply(7)  # E: arg-type
    bedrock.reply("Hi", promt="weather")  # E: call-arg
    bedrock.reply("Hi", prompt=7)  # E: arg-type
    bedrock.reply("Hi", prompt={"regexp": "a+"})  # E: arg-type
    bedrock.reply("Hi", operation="InvokeModl")  # E: arg-type
    bedrock.reply("Hi", turn="first")  # E: arg-type
    bedrock.reply("Hi", times="twice")  # E: arg-type
    bedrock.reply("Hi", metadata={"team": 7})  # E: dict-item
    bedrock.reply("Hi", pace={"first": 1})  # E: arg-type
    bedrock.reply({"tool_calls": [{"name": 7}]})  # E: arg-type
    bedrock.reply({"tools": []})  # E: arg-type


def faults(bedrock: Bedrock) -> None:
    bedrock.fail("ThrottledException")  # E: arg-type
    bedrock.fail("cut", after="3")  # E: call-arg
    bedrock.fail("cut", after_tokens="3")  # E: arg-type
    bedrock.fail()  # E: call-arg


def rules(bedrock: Bedrock) -> None:
    bedrock.rule(replies="Hi")  # E: call-arg
    bedrock.rule(reply=7)  # E: arg-type
    bedrock.rule(fault="torn")  # E: arg-type
    bedrock.rule(fault={"break": "snap"})  # E: arg-type
    bedrock.rule(state="gone")  # E: arg-type
    bedrock.rule(when={"promt": "weather"})  # E: typeddict-unknown-key


def journal(bedrock: Bedrock) -> None:
    [call] = bedrock.requests
    call.stauts  # E: attr-defined
    call.status + 1  # E: operator
    call.status = 200  # E: misc
    call.ended == "stopped"  # E: comparison-overlap
    bedrock.requests = []  # E: misc


def clients(bedrock: Bedrock) -> None:
    bedrock.client().converse(modelId=bedrock.model, message=[])  # T: call-arg
    bedrock.sagemaker().invoke_endpoint(EndpointName=7, Body=b"")  # T: arg-type
