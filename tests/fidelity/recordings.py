"""Whole recorded answers. With a rule for the model's text, the rest of the answer is equal, except
for ids and times. `serverToolUsage` came in 2026; older recordings are compared without it.
"""

from tests.fidelity.recording import IN_EUROPE, Recording, ask, dolphins, of_messages, of_text
from tests.support.servers import LARGE, LARGE_3, MINISTRAL_3B, MIXTRAL, SEVEN_B

MINISTRAL_8B = "mistral.ministral-3-8b-instruct"
MINISTRAL_14B = "mistral.ministral-3-14b-instruct"
MAGISTRAL = "mistral.magistral-small-2509"
DEVSTRAL = "mistral.devstral-2-123b"
ARIZE = "Arize-ai/openinference's recordings, us-east-1, "
PYDANTIC = "pydantic/pydantic-ai's recordings, us-east-1, 2026"
SCHEMA = (
    '{"additionalProperties": false, "properties": {"city": {"type": "string"}, "country": {"type":'
    ' "string"}, "population": {"type": "integer"}}, "required": ["city", "country", "population"],'
    ' "type": "object"}'
)
CITY = {"name": "CityInfo", "schema": SCHEMA, "description": "Information about a city."}
FORMAT = {"type": "json_schema", "structure": {"jsonSchema": CITY}}
STATION = {"type": "string", "description": "The call sign for the radio station"}
SONG = {
    "name": "top_song",
    "description": "Get the most popular song played on a radio station.",
    "inputSchema": {
        "json": {"type": "object", "properties": {"sign": STATION}, "required": ["sign"]}
    },
}
HAIKU = (
    *(" Sil", "ent", " screens", " glow", ",", "\n", "\n"),
    *("Connect", "ing", " hearts", ",", " worlds", " apart", ",", "\n", "\n"),
    *("Life", " in", " digital", ".", ""),
)

TABLE = [
    dolphins(
        "Pixtral",
        IN_EUROPE,
        "Dolphins are highly intelligent marine mammals known for their playful"
        " behavior and complex communication skills.",
        10,
        21,
    ),
    dolphins(
        "Devstral",
        DEVSTRAL,
        "Dolphins are highly intelligent marine mammals known for their playful"
        " behavior and complex social structures.",
        9,
        19,
    ),
    dolphins(
        "Magistral",
        MAGISTRAL,
        '"Dolphins are highly intelligent marine mammals known for their playful'
        ' behavior, sophisticated communication, and strong social bonds."',
        9,
        24,
    ),
    dolphins(
        "Ministral 14B",
        MINISTRAL_14B,
        "Dolphins are highly intelligent marine mammals known for their playful"
        " behavior, complex communication skills, and strong social bonds within"
        " their pods.",
        9,
        27,
    ),
    dolphins(
        "Ministral 3B",
        MINISTRAL_3B,
        "Dolphins are highly intelligent marine mammals known for their playful"
        " behavior, sophisticated communication, and strong social bonds.",
        9,
        23,
    ),
    dolphins(
        "Ministral 8B",
        MINISTRAL_8B,
        "Dolphins are highly intelligent, social marine mammals known for their"
        " complex communication, playful behavior, and advanced problem-solving"
        " skills.",
        9,
        26,
    ),
    dolphins(
        "7B",
        SEVEN_B,
        " Dolphins are highly intelligent, social marine mammals known for their"
        " distinctive curved dorsal fins and playful behavior in the wild.",
        15,
        30,
    ),
    dolphins(
        "Large 2402",
        LARGE,
        "Dolphins are highly intelligent and social marine mammals known for their"
        " playful behavior and sophisticated communication skills.",
        10,
        23,
    ),
    dolphins(
        "Mixtral",
        MIXTRAL,
        " Dolphins are highly intelligent and social marine mammals known for their"
        " playful behavior, sophisticated communication skills, and ability to"
        " perform acrobatic displays in the water.",
        15,
        35,
    ),
    of_messages(
        "Pixtral",
        IN_EUROPE,
        "Dolphins are highly intelligent marine mammals known for their playful"
        " behavior and complex communication skills.",
        10,
        21,
    ),
    of_messages(
        "Devstral",
        DEVSTRAL,
        '"Dolphins are highly intelligent marine mammals known for their playful'
        ' behavior and complex social structures."',
        9,
        20,
    ),
    of_messages(
        "Magistral",
        MAGISTRAL,
        '"Dolphins are highly intelligent marine mammals known for their playful'
        ' behavior, complex communication, and strong social bonds."',
        9,
        24,
    ),
    of_messages(
        "Ministral 14B",
        MINISTRAL_14B,
        "Dolphins are highly intelligent marine mammals known for their playful"
        " nature, complex social behaviors, and powerful ultrasonic communication.",
        9,
        24,
    ),
    of_messages(
        "Ministral 3B",
        MINISTRAL_3B,
        "Dolphins are intelligent, playful marine mammals known for their razor-sharp"
        " mental prowess, iconic playful behavior, and strong social bonds.",
        9,
        29,
    ),
    of_messages(
        "Ministral 8B",
        MINISTRAL_8B,
        "Dolphins, highly intelligent mammals, are known for their complex social"
        " behaviors, sonar-based echolocation, and cooperative hunting strategies in"
        " the ocean.",
        9,
        30,
    ),
    of_text(
        "7B",
        SEVEN_B,
        " Dolphins are highly intelligent, social marine mammals known for their"
        " acrobatic displays and echolocation abilities, which they use for"
        " communication and hunting.",
    ),
    of_text(
        "Large 2402",
        LARGE,
        " Dolphins are highly intelligent and social marine mammals known for their"
        " playful behavior and sophisticated communication skills.",
    ),
    of_text(
        "Mixtral",
        MIXTRAL,
        " Dolphins are highly intelligent and social marine mammals known for their"
        " playful behavior, complex communication skills, and ability to perform"
        " acrobatic displays in the water.",
    ),
    Recording(
        name="7B says who it is",
        seen=f"{ARIZE}2025-07-18: should-handle-mistral-models",
        model=SEVEN_B,
        reply=" I'm an artificial intelligence language model designed to assist with various"
        " tasks, answer questions, and engage in conversation. I don't have the ability to have"
        " a personal identity or emotions, but I can process and generate text based on the data"
        " I've been trained on. I'm here to help answer any questions you might have to the best"
        " of my ability. Let me know if there's something specific you'd like to know or"
        " discuss!",
        body=ask("Hello, can you tell me about yourself?", maxTokens=100, temperature=0.1),
        inputs=18,
        outputs=94,
    ),
    Recording(
        name="a stream of 7B, delta by delta",
        seen=f"{ARIZE}2025-08-20: should-handle-mistral-models-with-streaming",
        model=SEVEN_B,
        reply="".join(HAIKU),
        body=ask("Write a haiku about technology", maxTokens=100, temperature=0.1),
        inputs=15,
        outputs=21,
        operation="converse-stream",
        deltas=HAIKU,
    ),
    Recording(
        name="Large 3 keeps to a schema",
        seen=f"{PYDANTIC}: test_bedrock_native_output_mistral",
        model=LARGE_3,
        reply='{ "city": "Paris", "country": "France", "population": 2102650 }',
        body={
            **ask("What is the capital of France? Give me the city name, country, and population."),
            "system": [],
            "inferenceConfig": {},
            "outputConfig": {"textFormat": FORMAT},
        },
        inputs=21,
        outputs=26,
    ),
    Recording(
        name="Devstral calls a tool",
        seen=f"{ARIZE}2026: test_converse_tool_use_message",
        model=DEVSTRAL,
        reply={"tool_calls": [{"name": "top_song", "arguments": {"sign": "Radio XYZ"}}]},
        body={
            "toolConfig": {"tools": [{"toolSpec": SONG}]},
            **ask("What is the most popular song on Radio XYZ?"),
        },
        inputs=None,
        outputs=14,
        content='{"toolUse":{"input":{"sign":"Radio XYZ"},"name":"top_song","toolUseId":"ID"}}',
        stop="tool_use",
    ),
]
