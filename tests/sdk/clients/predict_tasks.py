"""SageMaker Python SDK 2: the kinds of tasks with which Mistral 7B was announced on JumpStart."""

import json

from sagemaker.deserializers import JSONDeserializer
from sagemaker.predictor import Predictor
from sagemaker.serializers import JSONSerializer

SENTIMENT = """\
Text: "My train was early, and the sun was out."
Sentiment: positive
Text: "The queue took an hour, and then they closed."
Sentiment: negative
Text: "The new bench stands by the pond."
Sentiment:"""
PASSAGE = """\
Rats keep to the edges of a room. They find their way by their whiskers, and remember it. A rat that
has met something new leaves it alone for a day or two.

Question: How do rats find their way?
Answer:"""
TASKS = {
    "sentiment": (SENTIMENT, {"max_new_tokens": 2, "stop": ["\n"]}),
    "lakes": ("Name five lakes, one on each line:\n1.", {"max_new_tokens": 60}),
    "passage": (PASSAGE, {"max_new_tokens": 40, "return_full_text": True}),
    "change": (
        "<s>[INST] A pen costs $2.40 and a pad $3.10. What is the change from $10? [/INST]",
        {"max_new_tokens": 100, "do_sample": True, "top_p": 0.9, "temperature": 0.8, "seed": 1},
    ),
    "bash": (
        "<s>[INST] Write a Bash line that counts the files below this folder. [/INST]",
        {"max_new_tokens": 80, "details": True},
    ),
}
predictor = Predictor(
    "huggingface-llm-mistral-7b-instruct",
    serializer=JSONSerializer(),
    deserializer=JSONDeserializer(),
)
answers = {
    name: predictor.predict({"inputs": inputs, "parameters": parameters})
    for name, (inputs, parameters) in TASKS.items()
}
print("answers:", json.dumps({"asked": TASKS, "answers": answers}))
