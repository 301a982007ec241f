"""Prometheus metrics of calls: counts, outcomes, durations, tokens."""

from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# Buckets in seconds. A scripted answer takes a millisecond, one of 4,096 tokens a minute or two.
CALL_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600)
FIRST_TOKEN_BUCKETS = (
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160
)  # fmt: skip
TOKEN_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.04, 0.06, 0.1, 0.15, 0.25, 0.5, 1, 2.5)


# The labels of an ended call. The first two are empty if unknown.
CALL_LABELS = ("operation", "model_id", "outcome", "status", "error")


class TokenFigures(NamedTuple):
    """The tokens of a call.

    `first` is the time to the first token and `each` the mean time between two tokens, in seconds;
    None if there were too few tokens.
    """

    input_tokens: int
    output_tokens: int
    first: float | None
    each: float | None


class TokenSeries(NamedTuple):
    """The token metrics of one operation of one model."""

    first_token: Histogram
    per_token: Histogram
    input_tokens: Counter
    output_tokens: Counter


class CallMetrics:
    """The metrics of all calls. The caller counts in-flight calls in `under_way`.

    Series are cached in dictionaries, because `labels()` costs more than everything else here.
    """

    def __init__(self, registry: CollectorRegistry | None) -> None:
        of_model = ("operation", "model_id")
        self._calls = Counter(
            "invoke_api_calls_total",
            "Calls that have ended, by outcome.",
            CALL_LABELS,
            registry=registry,
        )
        self.under_way = 0
        self._under_way = Gauge(
            "invoke_api_calls_under_way",
            "Calls that have begun and not ended.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._seconds = Histogram(
            "invoke_api_call_duration_seconds",
            "Seconds from the beginning of an answered call to its last token.",
            of_model,
            buckets=CALL_BUCKETS,
            registry=registry,
        )
        self._first_token = Histogram(
            "invoke_api_time_to_first_token_seconds",
            "Seconds from the beginning of a call to its first token.",
            of_model,
            buckets=FIRST_TOKEN_BUCKETS,
            registry=registry,
        )
        self._per_token = Histogram(
            "invoke_api_time_per_output_token_seconds",
            "Mean seconds between two tokens of an answer.",
            of_model,
            buckets=TOKEN_BUCKETS,
            registry=registry,
        )
        self._input_tokens = Counter(
            "invoke_api_input_tokens_total",
            "Prompt tokens of calls that generated a token.",
            of_model,
            registry=registry,
        )
        self._output_tokens = Counter(
            "invoke_api_output_tokens_total",
            "Generated tokens, also of cancelled calls.",
            of_model,
            registry=registry,
        )
        self._by_end: dict[tuple[str, ...], Counter] = {}
        self._durations: dict[tuple[str, ...], Histogram] = {}
        self._tokens: dict[tuple[str, ...], TokenSeries] = {}

    def refresh(self) -> None:
        """Update the gauge. Call this before the metrics are exported."""
        self._under_way.set(self.under_way)

    def record(
        self, labels: tuple[str, ...], seconds: float | None, tokens: TokenFigures | None
    ) -> None:
        """Record a call that has ended, by the values of `CALL_LABELS`.

        `seconds` is the duration of an answered call. `tokens` is None if no token came.
        """
        counter = self._by_end.get(labels)
        if counter is None:
            counter = self._by_end[labels] = self._calls.labels(*labels)
        counter.inc()
        of_model = labels[:2]
        if seconds is not None:
            durations = self._durations.get(of_model)
            if durations is None:
                durations = self._durations[of_model] = self._seconds.labels(*of_model)
            durations.observe(seconds)
        if tokens:
            self._record_tokens(of_model, tokens)

    def _record_tokens(self, of_model: tuple[str, ...], tokens: TokenFigures) -> None:
        series = self._tokens.get(of_model)
        if series is None:
            series = self._tokens[of_model] = TokenSeries(
                first_token=self._first_token.labels(*of_model),
                per_token=self._per_token.labels(*of_model),
                input_tokens=self._input_tokens.labels(*of_model),
                output_tokens=self._output_tokens.labels(*of_model),
            )
        series.input_tokens.inc(tokens.input_tokens)
        series.output_tokens.inc(tokens.output_tokens)
        if tokens.first is not None:
            series.first_token.observe(tokens.first)
        if tokens.each is not None:
            series.per_token.observe(tokens.each)
