#include "text/text_app.h"

int main(int argc, char** argv) {
  return pocket::apps::run_text_app(
      {"talkingheads",
       "Judges the sentiment of each line of a text, with a BERT whose attention heads talk",
       "talkheads_ggelu_bert_en_base"},
      argc, argv);
}
