#include "text/tokenizer.h"

#include <gmock/gmock.h>

#include <string>

#include "text/words.h"

namespace pocket::apps {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> words(std::string_view text, size_t most = 100) {
  std::vector<std::string> result;
  for_each_word(text, most, [&](const Word& word) {
    result.push_back(word.text);
    return true;
  });
  return result;
}

TEST(Words, AreLoweredAndLoseTheirAccents) {
  EXPECT_THAT(words("Crème BRÛLÉE"), ElementsAre("creme", "brulee"));
  EXPECT_THAT(words("Straße"), ElementsAre("straße"));  // no accent: it stays
  EXPECT_THAT(words("İstanbul Việt"), ElementsAre("istanbul", "viet"));
  EXPECT_THAT(words("e\u0301"), ElementsAre("e"));
}

TEST(Words, EndAtSpacePunctuationAndIdeographs) {
  EXPECT_THAT(words(" a\tb\u00a0c\u3000d\u2028e "), ElementsAre("a", "b", "c", "d", "e"));
  EXPECT_THAT(words("don't $5"), ElementsAre("don", "'", "t", "$", "5"));
  EXPECT_THAT(words("«so»…"), ElementsAre("«", "so", "»", "…"));
  EXPECT_THAT(words("x日本y"), ElementsAre("x", "日", "本", "y"));
  EXPECT_THAT(words("カメラ"), ElementsAre("カメラ"));
  EXPECT_THAT(words("😀👍🏽"), ElementsAre("😀👍🏽"));
}

TEST(Words, HoldNothingThatIsNotText) {
  EXPECT_THAT(words(""), IsEmpty());
  EXPECT_THAT(words(" \t\r\n"), IsEmpty());
  EXPECT_THAT(words(std::string("a\0b", 3)), ElementsAre("ab"));
  EXPECT_THAT(words("a\xff\xfe"
                    "b \xc3( \xed\xa0\x80 \xf8\x88\x80\x80\x80"),
              ElementsAre("ab", "("));
  EXPECT_THAT(words("zero\u200bwidth soft\u00adhyphen \ufffd\ufeff"),
              ElementsAre("zerowidth", "softhyphen"));
  EXPECT_THAT(words("\xe2\x82"), IsEmpty());  // ends in the middle of a character
}

TEST(Words, AreBounded) {
  const auto found = words(std::string(1000, 'x') + " y", 5);
  EXPECT_THAT(found, ElementsAre("xxxxxx", "y"));
}

TEST(Words, StopWhenNoMoreAreWanted) {
  int count = 0;
  for_each_word("a.b.c", 100, [&](const Word&) { return ++count < 3; });
  EXPECT_EQ(count, 3);
}

constexpr const char* kPieces = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nun\n##afford\n##able\n,\nab\n##b\nа\n";

Tokenizer tokenizer() {
  auto vocabulary = Vocabulary::from_text(kPieces, "pieces");
  return Tokenizer(std::move(*vocabulary));
}

TEST(TokenizerTest, CutsWordsIntoTheLongestPieces) {
  EXPECT_THAT(tokenizer().encode("Unaffordable, ab abb", 100).ids,
              ElementsAre(2, 4, 5, 6, 7, 8, 8, 9, 3));
}

TEST(TokenizerTest, AWordWithoutPiecesIsUnknownAsAWhole) {
  EXPECT_THAT(tokenizer().encode("unafford! unz б", 100).ids, ElementsAre(2, 4, 5, 1, 1, 1, 3));
  EXPECT_THAT(tokenizer().encode(std::string(101, 'a') + " ab", 100).ids, ElementsAre(2, 1, 8, 3));
}

TEST(TokenizerTest, CutsOffWhatIsTooLong) {
  const Tokens all = tokenizer().encode("ab ab", 4);
  EXPECT_THAT(all.ids, ElementsAre(2, 8, 8, 3));
  EXPECT_FALSE(all.truncated);
  const Tokens cut = tokenizer().encode("ab unaffordable", 4);
  EXPECT_THAT(cut.ids, ElementsAre(2, 8, 4, 3));
  EXPECT_TRUE(cut.truncated);
  EXPECT_THAT(tokenizer().encode("ab", 0).ids, ElementsAre(2, 3));
}

TEST(TokenizerTest, ATextCannotWriteSpecialTokens) {
  EXPECT_THAT(tokenizer().encode("[SEP]", 100).ids, ElementsAre(2, 1, 1, 1, 3));
}

TEST(VocabularyTest, RefusesWhatIsNone) {
  const auto other = Vocabulary::from_text("hello\nworld\n", "the file");
  ASSERT_FALSE(other.ok());
  EXPECT_THAT(other.error().message, ::testing::HasSubstr("'the file' is no BERT vocabulary"));
  EXPECT_FALSE(Vocabulary::from_text("", "empty").ok());
  EXPECT_EQ(Vocabulary::read("/nowhere/vocabulary").error().code, POCKET_NOT_FOUND);
}

TEST(VocabularyTest, KnowsLinesWithAndWithoutCarriageReturn) {
  const auto vocabulary = Vocabulary::from_text("[PAD]\r\n[UNK]\r\n[CLS]\n[SEP]\nlast", "pieces");
  ASSERT_TRUE(vocabulary.ok());
  EXPECT_EQ(vocabulary->size(), 5U);
  EXPECT_EQ(vocabulary->find("[UNK]"), 1);
  EXPECT_EQ(vocabulary->find("last"), 4);
  EXPECT_EQ(vocabulary->find("las"), std::nullopt);
}

}  // namespace
}  // namespace pocket::apps
