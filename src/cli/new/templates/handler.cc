// @name@ itself: runs in a runner of the service, one object for each client.
#include <@name@.handler.h>

namespace @name@ {
namespace {

using pocket::handler::Context;
using pocket::handler::Failure;
using pocket::handler::Parts;

class CountParts : public Parts<CountReply> {
 public:
  explicit CountParts(uint32_t to) : to_(to) {}
  bool next(Context&, CountReply& reply) override {
    if (number_ == to_) return false;
    reply.set_number(++number_);
    return true;
  }

 private:
  uint32_t number_ = 0;
  const uint32_t to_;
};

class Handler : public @Name@Handler {
 public:
  explicit Handler(const pocket::handler::Setup&) {}

  void Greet(Context&, const GreetRequest& request, GreetReply& reply) override {
    if (request.name().empty()) throw Failure(POCKET_INVALID_ARGUMENT, "who are you?");
    reply.set_text("Hello, " + request.name() + "!");
    reply.set_times(++times_);
  }

  void Scale(Context& context, const ScaleRequest& request, ScaleReply&) override {
    const auto values = context.tensor(ScaleIn::values);
    const auto given = values.values<float>();
    const auto scaled = context.reply_tensor<float>(ScaleOut::values, values.shape());
    for (size_t index = 0; index < given.size(); ++index) {
      scaled[index] = given[index] * request.factor();
    }
  }

  std::unique_ptr<Parts<CountReply>> Count(Context&, const CountRequest& request) override {
    return std::make_unique<CountParts>(request.to());
  }

 private:
  uint32_t times_ = 0;  // calls of one client follow each other: no lock
};

}  // namespace
}  // namespace @name@

POCKET_HANDLER(@name@::@Name@Service, @name@::Handler)
