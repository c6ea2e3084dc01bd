// An application's own code in a runner: what it gets, what it may do, what it cannot do to others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "outcome.h"
#include "raw_client.h"
#include "raw_handler.h"
#include "service.h"

namespace pocket::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::Each;
using ::testing::HasSubstr;

enum Method : uint32_t {  // as in test_handler.cc
  kEcho,
  kCount,
  kFail,
  kThrow,
  kLoop,
  kWait,
  kCrash,
  kLeak,
  kRunModel,
  kBig,
  kOdd,
  kNumbers,
  kThrowOther,
  kGreeting,
  kMethods
};

Request request(Method method, Operation operation = Operation::kCall, uint64_t stream = 0) {
  Request made;
  made.method = method;
  made.operation = operation;
  made.stream = stream;
  return made;
}

class HandlerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    add_handler("app", "well");
    write_file(service_.models() + "/app/model.toml",
               "uses = ['echo']\n[options]\ngrace_ms = '200'\ncolour = 'blue'\n");
    service_.add_null_model("echo", kEchoModel);
    service_.add_null_model("beside", kEchoModel);
    ASSERT_TRUE(service_.start()) << service_.log();
  }
  void TearDown() override {
    if (HasFailure()) std::printf("%s", service_.log().c_str());
  }
  /// models/<name>/1 with the test handler of that kind.
  void add_handler(const std::string& name, const std::string& kind) {
    const std::string folder = service_.models() + "/" + name + "/1";
    write_file(folder + "/model.handler", "library = 'handler.so'\n");
    fs::copy_file(std::string(TEST_HANDLERS) + "/test-handler-" + kind + ".so",
                  folder + "/handler.so");
  }
  Session session() { return Session({.socket = service_.socket()}); }
  static constexpr const char* kEchoModel =
      "mode = 'echo'\n[[inputs]]\nname = 'x'\nshape = [-1]\n[[outputs]]\nname = 'y'\nshape = "
      "[-1]\n";
  TestService service_;
};

TEST_F(HandlerTest, MessagesAndTensorsOfEveryTypeComeBack) {
  const Session here = session();
  const Model model(here, "app");
  EXPECT_EQ(model.engine(), "handler");
  ASSERT_EQ(model.inputs().size(), 4U);
  EXPECT_EQ(model.inputs()[1].dtype, POCKET_DTYPE_UNDEFINED);
  EXPECT_EQ(ask(model, request(kEcho), "hello").message, "hello");
  EXPECT_EQ(ask(model, request(kEcho), "").message, "");

  Call call(model);
  set_request(call, request(kEcho), "with tensors");
  const auto numbers = call.input<float>(1, {2, 2});
  std::fill(numbers.begin(), numbers.end(), 1.5F);
  const std::vector<std::string> texts = {"one", "", "three"};
  const int64_t three[] = {3};
  call.input_strings(3, three, texts);  // 2 is left out
  call.run();
  EXPECT_EQ(reply_of(call).message, "with tensors");
  EXPECT_THAT(call.output(1).values<float>(), Each(1.5F));
  EXPECT_EQ(call.output(1).shape().size(), 2U);
  EXPECT_EQ(call.output(2).bytes(), 0U);
  EXPECT_EQ(call.output_string(3, 2), "three");

  // The same call, other types in the same places, and one cleared.
  const auto bytes = call.input<int64_t>(1, {5});
  std::fill(bytes.begin(), bytes.end(), 7);
  call.clear_input(3);
  call.run();
  EXPECT_THAT(call.output(1).values<int64_t>(), Each(7));
  EXPECT_EQ(call.output(3).bytes(), 0U);
}

TEST_F(HandlerTest, OptionsGoToTheHandlerThoseOfTheHostDoNot) {
  const Session here = session();
  EXPECT_EQ(ask(Model(here, "app"), request(kGreeting), "").message, "colour=blue;");
}

TEST_F(HandlerTest, EachClientHasItsOwnStateUntilItLeaves) {
  const Session first = session();
  const Model mine(first, "app");
  ask(mine, request(kEcho), "");
  {
    const Session second = session();
    const Model theirs(second, "app");
    EXPECT_EQ(ask(theirs, request(kCount), "").message, "1 2 0");
    EXPECT_EQ(ask(mine, request(kCount), "").message, "2 2 0");
    const Model again(first, "app");  // the same client, another channel
    EXPECT_EQ(ask(again, request(kCount), "").message, "3 2 0");
  }
  EXPECT_TRUE(eventually(
      [&] { return ask(mine, request(kCount), "").message.find(" 1 0") != std::string::npos; }));
}

TEST_F(HandlerTest, FailuresAndExceptionsAreStatusesAndNothingElse) {
  const Session here = session();
  const Model model(here, "app");
  EXPECT_THAT(outcome_of([&] { ask(model, request(kFail), "no such word"); }),
              fails_with(POCKET_NOT_FOUND, "no such word"));
  EXPECT_THAT(outcome_of([&] { ask(model, request(kThrow), ""); }),
              fails_with(POCKET_ENGINE_ERROR, "handler 'test.Handler' threw: a surprise"));
  EXPECT_THAT(outcome_of([&] { ask(model, request(kThrowOther), ""); }),
              fails_with(POCKET_ENGINE_ERROR, "threw something"));
  EXPECT_THAT(outcome_of([&] { ask(model, request(kOdd), ""); }),
              fails_with(POCKET_ENGINE_ERROR, "ended with 999, which is no status: odd"));
  EXPECT_EQ(ask(model, request(kEcho), "still here").message, "still here");
}

TEST_F(HandlerTest, WrongRequestsAreRefusedAndSayWhy) {
  const Session here = session();
  const Model model(here, "app");
  const auto outcome = [&](Request made) { return outcome_of([&] { ask(model, made, "x"); }); };
  Request wrong = request(kEcho);
  wrong.digest[0] = 99;
  EXPECT_THAT(outcome(wrong), fails_with(POCKET_VERSION_MISMATCH, "63020304", "01020304",
                                         "build both from the same .proto file"));
  wrong = request(kEcho);
  wrong.magic = 7;
  EXPECT_THAT(outcome(wrong), fails_with(POCKET_INVALID_ARGUMENT, "no message for a handler"));
  EXPECT_THAT(outcome(request(kMethods)), fails_with(POCKET_INVALID_ARGUMENT, "no method 14"));
  EXPECT_THAT(outcome(request(kEcho, static_cast<Operation>(9))),
              fails_with(POCKET_INVALID_ARGUMENT, "no operation 9"));
  EXPECT_THAT(outcome(request(kNumbers)), fails_with(POCKET_INVALID_ARGUMENT, "answers in parts"));
  EXPECT_THAT(outcome(request(kEcho, Operation::kNext)),
              fails_with(POCKET_INVALID_ARGUMENT, "answers once"));
  wrong = request(kEcho, static_cast<Operation>(4));  // by name: no digest is compared
  wrong.digest[0] = 99;
  EXPECT_EQ(ask(model, wrong, std::string("Echo\0yes", 8)).message, "yes");
  EXPECT_THAT(outcome_of([&] { ask(model, wrong, std::string("Ech\0o", 5)); }),
              fails_with(POCKET_INVALID_ARGUMENT, "no method 'Ech'; it has 'Echo'"));
  EXPECT_THAT(outcome_of([&] { ask(model, wrong, "Echo"); }),
              fails_with(POCKET_INVALID_ARGUMENT, "has no end"));
  Call call(model);
  call.input<uint8_t>(0, {3});
  EXPECT_THAT(outcome_of([&] { call.run(); }),
              fails_with(POCKET_INVALID_ARGUMENT, "at least 48 bytes, 3 were given"));
}

TEST_F(HandlerTest, AnAnswerThatDoesNotFitIsNotMadeTwice) {
  const Session here = session();
  const Model model(here, "app");
  Request numbered = request(kBig);
  numbered.number = 5;
  // The first room of an answer is a page; the library asks again with more. The text counts calls.
  EXPECT_EQ(ask(model, numbered, "").message, std::string(100'000, '1'));
  EXPECT_EQ(ask(model, request(kCount), "").message, "2 1 0");
  // Without a number the same costs a second run.
  EXPECT_EQ(ask(model, request(kBig), "").message, std::string(100'000, '4'));
}

TEST_F(HandlerTest, AnswersInPartsComeOneAfterTheOther) {
  const Session here = session();
  const Model model(here, "app");
  const Reply opened =
      ask(model, request(kNumbers, Operation::kOpenStream), std::string("\3\0", 2));
  ASSERT_NE(opened.stream, 0U);
  const auto next = [&](uint64_t stream) {
    return ask(model, request(kNumbers, Operation::kNext, stream), "");
  };
  for (int number = 0; number < 3; ++number) {
    const Reply part = next(opened.stream);
    EXPECT_EQ(part.end, 0U);
    EXPECT_EQ(part.message, std::to_string(number));
  }
  EXPECT_EQ(next(opened.stream).end, 1U);
  EXPECT_THAT(outcome_of([&] { next(opened.stream); }),
              fails_with(POCKET_NOT_FOUND, "no open stream"));

  const Reply fails = ask(model, request(kNumbers, Operation::kOpenStream), std::string("\1\1", 2));
  EXPECT_EQ(next(fails.stream).message, "0");
  EXPECT_THAT(outcome_of([&] { next(fails.stream); }),
              fails_with(POCKET_DATA_LOSS, "the well is dry"));
  EXPECT_THAT(outcome_of([&] { next(fails.stream); }), fails_with(POCKET_NOT_FOUND));

  const Reply closed =
      ask(model, request(kNumbers, Operation::kOpenStream), std::string("\1\0", 2));
  ask(model, request(kNumbers, Operation::kCloseStream, closed.stream), "");
  EXPECT_THAT(outcome_of([&] { next(closed.stream); }), fails_with(POCKET_NOT_FOUND));
  EXPECT_THAT(ask(model, request(kCount), "").message, HasSubstr(" 1 0"));
  // Another client's stream does not exist for this one, and goes with its client.
  const Session other = session();
  const Model theirs(other, "app");
  {
    const Session third = session();
    const Model gone(third, "app");
    const Reply foreign =
        ask(gone, request(kNumbers, Operation::kOpenStream), std::string("\1\0", 2));
    EXPECT_THAT(
        outcome_of([&] { ask(theirs, request(kNumbers, Operation::kNext, foreign.stream), ""); }),
        fails_with(POCKET_NOT_FOUND));
  }
  EXPECT_TRUE(eventually(
      [&] { return ask(theirs, request(kCount), "").message.find(" 2 0") != std::string::npos; }));
}

TEST_F(HandlerTest, TheStreamsOfOneClientAreBounded) {
  const Session here = session();
  const Model model(here, "app");
  for (int count = 0; count < 64; ++count) {
    ask(model, request(kNumbers, Operation::kOpenStream), std::string("\1\0", 2));
  }
  EXPECT_THAT(outcome_of([&] {
                ask(model, request(kNumbers, Operation::kOpenStream), std::string("\1\0", 2));
              }),
              fails_with(POCKET_RESOURCE_EXHAUSTED, "64 answers open"));
  EXPECT_EQ(ask(model, request(kCount), "").message, "66 1 64");
}

TEST_F(HandlerTest, ModelsThatTheEntryNamesRunAndAreChecked) {
  const Session here = session();
  const Model model(here, "app");
  Call call(model);
  set_request(call, request(kRunModel), "echo");
  const auto numbers = call.input<float>(1, {3});
  for (int index = 0; index < 3; ++index) numbers[index] = static_cast<float>(index);
  call.run();
  EXPECT_THAT(call.output(1).values<float>(), ::testing::ElementsAre(0, 1, 2));
  set_request(call, request(kRunModel), "beside");
  EXPECT_THAT(outcome_of([&] { call.run(); }),
              fails_with(POCKET_NOT_FOUND, "names no model 'beside' to use; it names 'echo'"));
  set_request(call, request(kRunModel), "echo");
  call.input<int32_t>(1, {3});
  EXPECT_THAT(outcome_of([&] { call.run(); }),
              fails_with(POCKET_INVALID_ARGUMENT, "input 'x' must be float32, int32 was given"));
  call.clear_input(1);
  EXPECT_THAT(outcome_of([&] { call.run(); }),
              fails_with(POCKET_INVALID_ARGUMENT, "input 'x' is missing"));
}

}  // namespace
}  // namespace pocket::testing
