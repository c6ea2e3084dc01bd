#include "text/text_app.h"

int main(int argc, char** argv) {
  return pocket::apps::run_text_app(
      {"smallbert", "Judges the sentiment of each line of a text, with a small BERT",
       "all_minilm_l6_v2"},
      argc, argv);
}
