"""all-MiniLM-L6-v2 with its published weights: texts become vectors whose angle tells their likeness."""
from encoder import Encoder, Sizes

SIZES = Sizes(layers=6, hidden=384, heads=12, inside=1536)
PARAMETERS = 22713216  # published, of the whole BERT model
POOLER = 384 * 384 + 384  # of which the embedding does not use these

PLACES = {
    "embeddings.word": "embeddings.word_embeddings.weight",
    "embeddings.position": "embeddings.position_embeddings.weight",
    "embeddings.type": "embeddings.token_type_embeddings.weight",
    "embeddings.norm": "embeddings.LayerNorm",
    "attention.query": "attention.self.query",
    "attention.key": "attention.self.key",
    "attention.value": "attention.self.value",
    "attention.output": "attention.output.dense",
    "attention.norm": "attention.output.LayerNorm",
    "feed_forward.inside": "intermediate.dense",
    "feed_forward.output": "output.dense",
    "feed_forward.norm": "output.LayerNorm",
}
ENDINGS = {"kernel": "weight", "scale": "weight", "bias": "bias", "offset": "bias"}


def place(name):
    """The name in the published file of a weight that the encoder asks for."""
    if name in PLACES:
        return PLACES[name]
    stem, ending = name.rsplit(".", 1)
    if not stem.startswith("layer"):
        return f"{PLACES[stem]}.{ENDINGS[ending]}"
    layer, part = stem.split(".", 1)
    return f"encoder.layer.{layer.removeprefix('layer')}.{PLACES[part]}.{ENDINGS[ending]}"


def build(tensors, path):
    """Writes the model; returns how many parameters the published one and the graph have."""
    def weights(name, _):
        values = tensors[place(name)]
        return values.T if name.endswith(".kernel") else values

    published = sum(values.size for name, values in tensors.items()
                    if name != "embeddings.position_ids")
    graph = Encoder("all_minilm_l6_v2", SIZES, weights)
    vector = graph.mean_embedding(graph.encode())
    graph.write(path, vector, "embedding", SIZES.hidden, "all-MiniLM-L6-v2, published weights")
    return published, graph.parameters
