"""The sizes of a BERT encoder."""
import dataclasses


@dataclasses.dataclass
class Sizes:
    layers: int
    hidden: int
    heads: int
    inside: int  # of the feed-forward layer
    vocabulary: int = 30522
    positions: int = 512
    types: int = 2
    talking: bool = False  # linear maps over the heads before and after the softmax
    gated: bool = False    # a gate in the feed-forward layer
    tanh_gelu: bool = False  # the approximation that Google's models were trained with


MODELS = {
    "all_minilm_l6_v2": Sizes(layers=6, hidden=384, heads=12, inside=1536),
    "small_bert_l4_h512_a8": Sizes(layers=4, hidden=512, heads=8, inside=2048, tanh_gelu=True),
    "talkheads_ggelu_bert_en_base": Sizes(layers=12, hidden=768, heads=12, inside=3072, talking=True,
                                          gated=True, tanh_gelu=True),
}
