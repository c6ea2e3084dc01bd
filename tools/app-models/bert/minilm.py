"""all-MiniLM-L6-v2 with its published weights: texts become vectors whose angle tells their likeness."""
from encoder import Encoder
from names import place
from sizes import MODELS

SIZES = MODELS["all_minilm_l6_v2"]
PARAMETERS = 22713216  # published, of the whole BERT model
POOLER = 384 * 384 + 384  # of which the embedding does not use these


def weights(tensors):
    """What the encoder asks for, from the published file."""
    def weight(name, _):
        values = tensors[place(name)]
        return values.T if name.endswith(".kernel") else values
    return weight


def build(tensors, path):
    """Writes the model; returns how many parameters the published one and the graph have."""
    published = sum(values.size for name, values in tensors.items()
                    if name != "embeddings.position_ids")
    graph = Encoder("all_minilm_l6_v2", SIZES, weights(tensors))
    vector = graph.mean_embedding(graph.encode())
    graph.write(path, vector, "embedding", SIZES.hidden, "all-MiniLM-L6-v2, published weights")
    return published, graph.parameters
