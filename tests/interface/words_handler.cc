// The handler of words.proto, as an application would write it.
#include <words.handler.h>

#include <set>

namespace words {
namespace {

using pocket::handler::Context;
using pocket::handler::Failure;
using pocket::handler::Parts;

class Spelling : public Parts<Letter> {
 public:
  explicit Spelling(std::string text) : text_(std::move(text)) {}
  bool next(Context& context, Letter& letter) override {
    if (at_ == text_.size()) return false;
    if (text_[at_] == '!') throw Failure(POCKET_INVALID_ARGUMENT, "that is no letter");
    if (text_[at_] == '~') {
      while (true) context.fail_if_cancelled();
    }
    letter.set_letter(text_.substr(at_++, 1));
    return true;
  }

 private:
  std::string text_;
  size_t at_ = 0;
};

class Handler : public WordsHandler {
 public:
  explicit Handler(const pocket::handler::Setup& setup) : greeting_(setup.option("greeting")) {}

  void Remember(Context&, const Word& request, Known& reply) override {
    if (request.text() == "throw") throw std::runtime_error("no such word");
    if (request.text().empty()) throw Failure(POCKET_INVALID_ARGUMENT, "an empty word");
    words_.insert(request.text());
    if (greeting_) reply.add_words(*greeting_);
    for (const auto& word : words_) reply.add_words(word);
  }
  void Scale(Context& context, const ScaleRequest& request, ScaleReply&) override {
    const auto values = context.tensor(ScaleIn::values);
    const auto given = values.values<float>();
    const auto more = context.optional_tensor(ScaleIn::more);
    const auto scaled = context.reply_tensor<float>(ScaleOut::values, values.shape());
    for (size_t index = 0; index < given.size(); ++index) {
      scaled[index] =
          given[index] * request.factor() + (more.given() ? more.values<float>()[0] : 0);
    }
  }
  std::unique_ptr<Parts<Letter>> Spell(Context&, const Word& request) override {
    return std::make_unique<Spelling>(request.text());
  }

 private:
  std::set<std::string> words_;
  std::optional<std::string> greeting_;
};

}  // namespace
}  // namespace words

POCKET_HANDLER(words::WordsService, words::Handler)
