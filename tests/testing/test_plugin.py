"""The pytest plugin in the test suite of a program, in a process of its own."""

import re
import time

import pytest

APP = """
    import json

    import boto3

    BODY = json.dumps({"prompt": "Summarise this.", "max_tokens": 20})


    def summarise():
        client = boto3.client("bedrock-runtime")
        try:
            answer = client.invoke_model(modelId="mistral.mistral-7b-instruct-v0:2", body=BODY)
            with answer["body"] as body:
                return json.load(body)["outputs"][0]["text"]
        finally:
            client.close()
"""


# Plugins of our own suite, which take seconds to import.
OTHERS = ("schemathesis", "hypothesispytest", "asyncio", "anyio", "timeout", "cacheprovider")
QUICK = [flag for name in OTHERS for flag in ("-p", f"no:{name}")]
# pytest would rewrite all modules of a distribution with a plugin, also the finder of a checkout's.
QUICK += ["-W", "ignore:Module already imported so cannot be rewritten; _editable_impl"]


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """Make a suite beside a program with an `engine` package that fails when it is imported."""
    pytester.makepyfile(app=APP)
    for name in ("engine", "schemas"):
        package = pytester.mkpydir(name)
        package.joinpath("__init__.py").write_text("raise SystemExit('this is not yours')\n")
    pytester.makeini("[pytest]\n")
    return pytester


def run(suite: pytest.Pytester, *flags: str) -> pytest.RunResult:
    return suite.runpytest_subprocess(*QUICK, *flags)


TESTS = """
        import os

        import pytest
        from app import summarise
        from botocore.exceptions import ClientError


        def test_reply(bedrock):
            bedrock.reply(" Short.", prompt="Summarise")

            assert summarise() == " Short."
            [call] = bedrock.requests
            assert call["body"]["max_tokens"] == 20
            assert call["access_key_id"] == os.environ["AWS_ACCESS_KEY_ID"]


        def test_retry(bedrock, monkeypatch):
            monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
            bedrock.reply(" At last.")
            bedrock.fail("ThrottlingException", times=2, retry_after=1)

            assert summarise() == " At last."
            assert [call["status"] for call in bedrock.requests] == [429, 429, 200]


        def test_failure(bedrock):
            bedrock.fail("AccessDeniedException", message="Not you.")
            with pytest.raises(ClientError, match="Not you."):
                summarise()


        def test_nothing_leaks_from_other_tests(bedrock):
            assert bedrock.requests == []
            assert summarise().startswith(" Scripted answer")


        def test_a_mistake_is_a_sentence(bedrock):
            with pytest.raises(ValueError, match="there is no exception 'Throttled'"):
                bedrock.fail("Throttled")


        @pytest.mark.bedrock(model="mistral.mixtral-8x7b-instruct-v0:1")
        def test_model(bedrock):
            client = bedrock.client()
            client.invoke_model(modelId=bedrock.model, body='{"prompt": "Hi"}')["body"].close()
            client.close()

            assert bedrock.requests[0]["model_id"] == "mistral.mixtral-8x7b-instruct-v0:1"
"""


def test_a_test_says_what_is_answered_and_sees_what_was_asked(suite: pytest.Pytester) -> None:
    suite.makepyfile(TESTS)
    result = run(suite)

    result.assert_outcomes(passed=6)


def test_the_environment_is_as_it_was_afterwards(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.delenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", raising=False)
    suite.makepyfile(
        """
        import os


        def test_inside(bedrock):
            assert "AWS_PROFILE" not in os.environ
            assert os.environ["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"] == bedrock.url
            assert os.environ["AWS_ENDPOINT_URL_BEDROCK"] == bedrock.url


        def test_outside():
            assert os.environ["AWS_PROFILE"] == "mine"
            assert "AWS_ENDPOINT_URL_BEDROCK_RUNTIME" not in os.environ
        """
    )

    run(suite).assert_outcomes(passed=2)


def test_a_failed_test_shows_what_was_asked(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        from app import summarise


        def test_it(bedrock):
            bedrock.reply(" Wrong.")
            assert summarise() == " Right."
        """
    )
    result = run(suite)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*Bedrock requests*",
            "InvokeModel mistral.mistral-7b-instruct-v0:2 {*Summarise this.*} -> stop: ' Wrong.'",
        ]
    )


WRAPPED = """
    import pytest
    from app import summarise
    from invoke_api.testing import bedrock_running


    @pytest.fixture
    def app(request):
        request.getfixturevalue("bedrock").reply(" Right.", prompt="summarise", turn=2)
        return summarise


    @pytest.fixture(scope="module")
    def own():
        with bedrock_running() as emulated:
            emulated.reply(" Right.", operation="Converse")
            yield emulated


    def test_wrapped(app):
        assert app() == " Right."


    def test_of_an_own_server(own):
        client = own.client()
        client.invoke_model(modelId=own.model, body='{"prompt": "Hi"}')["body"].close()
        client.close()
        assert False


    def test_in_a_fixture(bedrock, broken):
        pass


    @pytest.fixture
    def broken(bedrock):
        bedrock.reply(" Right.", has_tool_result=True)
        assert summarise() == " Right."
"""


def test_a_failure_says_of_each_rule_why_it_did_not_match(suite: pytest.Pytester) -> None:
    suite.makepyfile(WRAPPED)
    result = run(suite)

    result.assert_outcomes(failed=2, errors=1)
    for why in (
        "prompt lacks 'summarise' but has 'Summarise'",
        "operation is 'InvokeModel', not 'Converse'",
        "has_tool_result is false, not true",
    ):
        result.stdout.fnmatch_lines(
            ["*Bedrock rules*", "*: no rule answered; the engine scripted did", f"*{why}"]
        )


def test_a_failed_test_shows_the_two_ends_of_a_long_prompt(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        def test_it(bedrock):
            client = bedrock.client()
            body = '{"prompt": "First%sLast", "max_tokens": 5}' % (5000 * "x")
            client.invoke_model(modelId=bedrock.model, body=body)["body"].close()
            client.close()
            assert False
        """
    )
    result = run(suite)
    [line] = [line for line in result.outlines if line.startswith("InvokeModel ")]

    assert re.search(r"'max_tokens': 5, 'prompt': 'Firstx+\.\.\.x+Last'", line)
    assert len(line) < 800


def test_an_unknown_engine_in_a_marker_is_an_error(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest


        @pytest.mark.bedrock(engine="steam")
        def test_it(bedrock):
            pass
        """
    )
    result = run(suite)

    result.stdout.fnmatch_lines(["*marker takes model, guardrails, and engine*scripted, demo*"])


def test_it_works_under_xdist(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest
        from app import summarise


        @pytest.mark.parametrize("number", range(12))
        def test_it(bedrock, number):
            bedrock.reply(f" I am {number}.")
            assert summarise() == f" I am {number}."
        """
    )

    run(suite, "-n", "2").assert_outcomes(passed=12)


def test_fifty_tests_take_under_three_seconds(suite: pytest.Pytester) -> None:
    """Allow more time than bench/suite.py measures, because the machine may be busy."""
    suite.makepyfile(
        """
        import pytest
        from app import summarise


        @pytest.mark.parametrize("number", range(50))
        def test_it(bedrock, number):
            bedrock.reply(f" I am {number}.")
            assert summarise() == f" I am {number}."
        """
    )
    began = time.monotonic()
    result = run(suite)

    result.assert_outcomes(passed=50)
    assert time.monotonic() - began < 30
    assert re.search(r"50 passed in [\d.]+s", result.stdout.str())
