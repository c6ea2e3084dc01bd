"""How BERT checkpoints of the PyTorch world call the weights that encoder.py asks for."""
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
    "pooler": "pooler.dense",
}
ENDINGS = {"kernel": "weight", "scale": "weight", "bias": "bias", "offset": "bias"}


def place(name):
    """The checkpoint's name of a weight; its dense kernels are [out, in]. KeyError for others."""
    if name in PLACES:
        return PLACES[name]
    stem, ending = name.rsplit(".", 1)
    if not stem.startswith("layer"):
        return f"{PLACES[stem]}.{ENDINGS[ending]}"
    layer, part = stem.split(".", 1)
    return f"encoder.layer.{layer.removeprefix('layer')}.{PLACES[part]}.{ENDINGS[ending]}"
