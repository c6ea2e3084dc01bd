#include "daemon/config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace pocket::daemon {
namespace {

Result<void> parse(const std::string& text) {
  Config config;
  return parse_config(text, "pocket.toml", config);
}

TEST(Config, ReadsEveryKey) {
  Config config;
  auto read = parse_config(
      "[service]\nsocket='/s'\nsocket_mode=0o600\nmodels='m'\nengine_dir='e'\nrunner='r'\n"
      "drain_seconds=2.5\n"
      "[log]\nlevel='debug'\nfile='l'\nformat='json'\naudit='a'\nper_second=0.5\n"
      "[fairness]\nweights='lent'\n"
      "[limits]\nsessions=1\nchannels_per_session=2\nregion_bytes=65536\nsession_bytes=131072\n"
      "runners=3\n"
      "[engines]\ndefault='null'\nthreads=4\nconcurrency=5\ncache_dir='c'\n"
      "scratch_dir='d'\nscratch_from=8\n"
      "[models]\nkeep_alive_seconds=6\nload_timeout_seconds=7\npreload=['a', 'b']\n",
      "pocket.toml", config);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(config.socket, "/s");
  EXPECT_EQ(config.socket_mode, 0600U);
  EXPECT_EQ(config.models, "m");
  EXPECT_EQ(config.engine_dir, "e");
  EXPECT_EQ(config.runner, "r");
  EXPECT_EQ(config.log.level, "debug");
  EXPECT_EQ(config.log.file, "l");
  EXPECT_EQ(config.log.format, "json");
  EXPECT_EQ(config.log.audit, "a");
  EXPECT_EQ(config.log.per_second, 0.5);
  EXPECT_TRUE(config.lent_weights);
  EXPECT_EQ(config.drain_seconds, 2.5);
  EXPECT_EQ(config.sessions, 1U);
  EXPECT_EQ(config.channels_per_session, 2U);
  EXPECT_EQ(config.region_bytes, 65536U);
  EXPECT_EQ(config.session_bytes, 131072U);
  EXPECT_EQ(config.runners, 3U);
  EXPECT_EQ(config.default_engine, "null");
  EXPECT_EQ(config.threads, 4U);
  EXPECT_EQ(config.concurrency, 5U);
  EXPECT_EQ(config.cache_dir, "c");
  EXPECT_EQ(config.scratch_dir, "d");
  EXPECT_EQ(config.scratch_from, 8U);
  EXPECT_EQ(config.keep_alive_seconds, 6);
  EXPECT_EQ(config.load_timeout_seconds, 7);
  EXPECT_EQ(config.preload, (std::vector<std::string>{"a", "b"}));
}

TEST(Config, EmptyFileKeepsTheDefaults) {
  Config config;
  ASSERT_TRUE(parse_config("", "pocket.toml", config).ok());
  EXPECT_EQ(config.sessions, Config{}.sessions);
  EXPECT_EQ(config.default_engine, Config{}.default_engine);
}

TEST(Config, UnknownKeyNamesLineAndNearest) {
  auto read = parse("[service]\nsocket='/s'\nsoket_mode=1\n");
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, POCKET_INVALID_ARGUMENT);
  EXPECT_EQ(read.error().message,
            "pocket.toml line 3: unknown key 'soket_mode'; did you mean 'socket_mode'?");
}

TEST(Config, UnknownTableNamesTheNearest) {
  auto read = parse("\n[limit]\nsessions=1\n");
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().message,
            "pocket.toml line 2: unknown key 'limit'; did you mean 'limits'?");
}

TEST(Config, KeyOfAnotherTableIsUnknown) {
  auto read = parse("[engines]\npreload=[]\n");
  ASSERT_FALSE(read.ok());
  EXPECT_NE(read.error().message.find("unknown key 'preload'"), std::string::npos);
}

TEST(Config, KeyThatResemblesNothingGetsNoAdvice) {
  auto read = parse("[models]\nqqqqqqqqqq=1\n");
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().message, "pocket.toml line 2: unknown key 'qqqqqqqqqq'");
}

TEST(Config, WrongTypesAndRangesAreRefused) {
  for (const char* text :
       {"[service]\nsocket=1", "[service]\nsocket_mode=0o1000", "[service]\nsocket_mode=-1",
        "[service]\ndrain_seconds=-1", "[service]\ndrain_seconds='1'",
        "[service]\ndrain_seconds=nan", "[limits]\nsessions=0", "[limits]\nsessions=1.5",
        "[limits]\nregion_bytes=1024", "[limits]\nrunners=4097", "[engines]\nthreads=1025",
        "[engines]\ndefault=3", "[models]\nkeep_alive_seconds=true", "[models]\npreload='a'",
        "[models]\npreload=['a', 1]", "service=1", "[[limits]]\nsessions=1"}) {
    auto read = parse(text);
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.error().code, POCKET_INVALID_ARGUMENT) << text;
    EXPECT_TRUE(read.error().message.starts_with("pocket.toml line ")) << read.error().message;
  }
}

TEST(Config, SyntaxErrorNamesTheLine) {
  auto read = parse("[service]\nsocket=\n");
  ASSERT_FALSE(read.ok());
  EXPECT_TRUE(read.error().message.starts_with("pocket.toml line 2: ")) << read.error().message;
}

TEST(Config, MissingFileIsNotFound) {
  Config config;
  auto read = read_config_file("/nonexistent/pocket.toml", config);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, POCKET_NOT_FOUND);
  EXPECT_NE(read.error().message.find("/nonexistent/pocket.toml"), std::string::npos);
}

TEST(Config, FileIsRead) {
  std::string path = (std::filesystem::temp_directory_path() / "pocket-config-XXXXXX").string();
  const int fd = ::mkstemp(path.data());
  ASSERT_GE(fd, 0);
  ::close(fd);
  std::ofstream(path) << "[limits]\nrunners=7\n";
  Config config;
  const auto read = read_config_file(path, config);
  ::unlink(path.c_str());
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(config.runners, 7U);
}

TEST(Config, CompletingFillsWhatIsLeftOpen) {
  const char* before = std::getenv("POCKET_SOCKET");
  const std::string kept = before == nullptr ? "" : before;
  ::setenv("POCKET_SOCKET", "/from/environment", 1);
  Config config;
  config.models = "relative/../models";
  const auto completed = complete_config(config);
  if (before == nullptr) {
    ::unsetenv("POCKET_SOCKET");
  } else {
    ::setenv("POCKET_SOCKET", kept.c_str(), 1);
  }
  ASSERT_TRUE(completed.ok()) << completed.error().message;
  EXPECT_EQ(config.socket, "/from/environment");
  EXPECT_TRUE(config.runner.ends_with("/pocket-runner"));
  EXPECT_TRUE(config.engine_dir.ends_with("/lib/pocket"));
  EXPECT_EQ(config.models, (std::filesystem::current_path() / "models").string());
  EXPECT_GE(config.threads, 1U);
  EXPECT_EQ(config.concurrency, config.threads);
}

TEST(Config, CompletingKeepsWhatWasSaid) {
  Config config;
  config.socket = "/s";
  config.runner = "/r";
  config.engine_dir = "/e";
  config.threads = 3;
  config.concurrency = 2;
  ASSERT_TRUE(complete_config(config).ok());
  EXPECT_EQ(config.socket, "/s");
  EXPECT_EQ(config.runner, "/r");
  EXPECT_EQ(config.engine_dir, "/e");
  EXPECT_EQ(config.threads, 3U);
  EXPECT_EQ(config.concurrency, 2U);
}

}  // namespace
}  // namespace pocket::daemon
