// What the tests of this folder share: a service that has all test models, and a session with it.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cases.h"
#include "pocket/pocket.h"
#include "service.h"

namespace pocket::equality {

class EqualityTest : public ::testing::Test {
 protected:
  /// Further models for the service go here, before it starts.
  virtual void add_models() {}

  void SetUp() override {
    cases_ = read_cases(test_models_root());
    ASSERT_FALSE(cases_.empty());
    link_models(cases_, service_.models());
    add_models();
    // Small models too, so that what lies on the disk gives the same answers.
    const std::string config = service_.folder() + "/equality.toml";
    testing::write_file(config, "[engines]\nscratch_from = 0\n");
    ASSERT_TRUE(service_.start({"--config", config})) << service_.log();
    const std::string socket = service_.socket();
    pocket_connect_options options{};
    options.struct_size = sizeof(options);
    options.socket_path = socket.c_str();
    ASSERT_EQ(pocket_connect(&options, &session_), POCKET_OK) << pocket_last_error();
  }
  void TearDown() override {
    pocket_session_close(session_);
    EXPECT_EQ(service_.stop(), 0) << service_.log();
  }

  const Case& find(const std::string& name) const {
    for (const auto& each : cases_) {
      if (each.name == name) return each;
    }
    throw std::runtime_error("no test model is called " + name);
  }

  testing::TestService service_;
  pocket_session* session_ = nullptr;
  std::vector<Case> cases_;
};

}  // namespace pocket::equality
