"""SageMaker Python SDK 2: HuggingFacePredictor and Predictor, whole and streamed."""

import json

from sagemaker.deserializers import JSONDeserializer
from sagemaker.huggingface import HuggingFacePredictor
from sagemaker.iterators import LineIterator
from sagemaker.predictor import Predictor
from sagemaker.serializers import JSONSerializer

NAME = "huggingface-llm-mistral-7b-instruct"
hugging_face = HuggingFacePredictor(endpoint_name=NAME)
predictor = Predictor(NAME, serializer=JSONSerializer(), deserializer=JSONDeserializer())


def request(question, **more):
    return {"inputs": f"<s>[INST] {question} [/INST]", **more}


def plain(question):
    [generated] = hugging_face.predict(request(question))
    return {"text": generated["generated_text"]}


def streamed(question):
    lines = predictor.predict_stream(request(question, stream=True), iterator=LineIterator)
    events = [json.loads(line.removeprefix(b"data:")) for line in lines if line]
    return {"text": events[-1]["generated_text"]}


print(
    json.dumps(
        {
            "plain": plain("How is the weather?"),
            "streamed": streamed("How will the weather be?"),
            "throttled": plain("Are you there?"),
        }
    )
)
