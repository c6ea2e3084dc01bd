// For the tests of this room: a folder that removes itself, on tmpfs where there is one, as a
// ledger is meant to be.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace pocket::lease {

class TestFolder {
 public:
  TestFolder() {
    const char* parent = std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : "/tmp";
    path_ = std::string(parent) + "/pocket-lease-test-XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr) std::abort();
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  ~TestFolder() { std::filesystem::remove_all(path_); }

  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace pocket::lease
