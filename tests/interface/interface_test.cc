// Generated stub and generated skeleton, on both sides of a real service.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <words.client.h>

#include <filesystem>

#include "outcome.h"
#include "raw_client.h"
#include "service.h"

namespace pocket::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

words::Word word(const std::string& text) {
  words::Word made;
  made.set_text(text);
  return made;
}

class InterfaceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    add("words", WORDS_HANDLER);
    add("newer", NEWER_HANDLER);
    write_file(service_.models() + "/words/model.toml", "[options]\ngreeting = 'Words:'\n");
    service_.add_null_model("echo",
                            "mode = 'echo'\n[[inputs]]\nname = 'x'\nshape = [-1]\n"
                            "[[outputs]]\nname = 'y'\nshape = [-1]\n");
    ASSERT_TRUE(service_.start()) << service_.log();
  }
  void TearDown() override {
    if (HasFailure()) std::printf("%s", service_.log().c_str());
  }
  void add(const std::string& name, const std::string& library) {
    const std::string folder = service_.models() + "/" + name + "/1";
    write_file(folder + "/model.handler", "library = 'words.so'\n");
    fs::copy_file(library, folder + "/words.so");
  }
  Session session() { return Session({.socket = service_.socket()}); }
  TestService service_;
};

TEST_F(InterfaceTest, EachClientIsRememberedByItself) {
  const Session first = session(), second = session();
  const words::WordsClient one(first, "words"), two(second, "words");
  one.Remember(word("b"));
  EXPECT_THAT(one.Remember(word("a"))->words(), ElementsAre("Words:", "a", "b"));
  EXPECT_THAT(two.Remember(word("c"))->words(), ElementsAre("Words:", "c"));
}

TEST_F(InterfaceTest, FailuresArriveAsTheyWereMeant) {
  const Session here = session();
  const words::WordsClient client(here, "words");
  EXPECT_THAT(outcome_of([&] { client.Remember(word("")); }),
              fails_with(POCKET_INVALID_ARGUMENT, "an empty word"));
  EXPECT_THAT(outcome_of([&] { client.Remember(word("throw")); }),
              fails_with(POCKET_ENGINE_ERROR, "words.Words threw: no such word"));
  EXPECT_THAT(outcome_of([&] { client.Scale({}); }),
              fails_with(POCKET_INVALID_ARGUMENT, "tensor 0 is missing"));
  const int64_t wrong[] = {1};
  EXPECT_THAT(
      outcome_of([&] { client.Scale({}, {.tensors = {TensorArgument::of<int64_t>({1}, wrong)}}); }),
      fails_with(POCKET_INVALID_ARGUMENT, "the tensor holds int64, not float32"));
}

TEST_F(InterfaceTest, TensorsGoBesideMessagesAndMayStayInTheRunner) {
  const Session here = session();
  const words::WordsClient client(here, "words");
  words::ScaleRequest twice;
  twice.set_factor(2);
  const float values[] = {1, 2, 3, 4};
  const auto kept = client.Scale(twice, {.tensors = {TensorArgument::of<float>({2, 2}, values)},
                                         .keep = {words::WordsClient::ScaleOut::values}});
  const float one[] = {1};
  const auto answer = client.Scale(twice, {.tensors = {TensorArgument::kept(kept.kept(0)),
                                                       TensorArgument::of<float>({1}, one)}});
  EXPECT_THAT(answer.tensor(0).values<float>(), ElementsAre(5, 9, 13, 17));
  EXPECT_THAT(answer.tensor(0).shape(), ElementsAre(2, 2));
  client.handler().model().release(kept.kept(0));
}

TEST_F(InterfaceTest, PartsAreReadOneAfterTheOther) {
  const Session here = session();
  const words::WordsClient client(here, "words");
  std::string spelled;
  auto parts = client.Spell(word("word"));
  for (words::Letter letter; parts.read(letter);) spelled += letter.letter();
  EXPECT_EQ(spelled, "word");
  words::Letter letter;
  EXPECT_FALSE(parts.read(letter));
  auto fails = client.Spell(word("a!"));
  EXPECT_TRUE(fails.read(letter));
  EXPECT_THAT(outcome_of([&] { fails.read(letter); }),
              fails_with(POCKET_INVALID_ARGUMENT, "that is no letter"));
  EXPECT_FALSE(fails.read(letter));
  auto waits = client.Spell(word("a~"));
  EXPECT_TRUE(waits.read(letter));
  EXPECT_THAT(outcome_of([&] { waits.read(letter, 20 * kMillisecond); }),
              fails_with(POCKET_DEADLINE_EXCEEDED));
  EXPECT_THAT(client.Remember(word("a"))->words(), ElementsAre("Words:", "a"));
}

TEST_F(InterfaceTest, AnotherInterfaceIsRefusedAndSaysWhatToDo) {
  const Session here = session();
  const words::WordsClient client(here, "newer");
  EXPECT_THAT(outcome_of([&] { client.Remember(word("a")); }),
              fails_with(POCKET_VERSION_MISMATCH, "handler 'words.Words'",
                         "build both from the same .proto file"));
  const words::NumbersClient other(here, "words");  // another service of the same file
  EXPECT_THAT(outcome_of([&] { other.Sum({}); }), fails_with(POCKET_VERSION_MISMATCH));
  EXPECT_THAT(outcome_of([&] { words::WordsClient none(here, "echo"); }),
              fails_with(POCKET_FAILED_PRECONDITION, "it is no handler"));
}

}  // namespace
}  // namespace pocket::testing
