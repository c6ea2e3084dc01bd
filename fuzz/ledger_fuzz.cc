// A ledger with any contents: it is refused, or everything in it comes home and its file closes.
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "base/unique_fd.h"
#include "fuzz.h"
#include "lease/book.h"
#include "lease/fake_driver.h"
#include "lease/ledger_layout.h"

namespace {

/// A folder for this process that goes with it.
struct Folder {
  Folder() {
    char name[] = "/dev/shm/pocket-fuzz-XXXXXX";
    pocket::fuzz::require(::mkdtemp(name) != nullptr, "no folder in /dev/shm");
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string path;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pocket;
  static const Folder folder;
  const std::string path = folder.path + "/ledger";
  {
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    fuzz::require(::write(file.get(), data, size) == static_cast<ssize_t>(size), "no memory");
  }
  lease::LedgerOptions options;
  options.accounts = 8;
  options.loans = 16;
  auto ledger = lease::Ledger::open(path, options);
  if (!ledger.ok()) return 0;
  lease::FakeDriver driver;
  for (const auto& account : ledger->accounts()) {
    const std::string name(account.name,
                           std::min<size_t>(account.name_bytes, sizeof(account.name)));
    driver.add(static_cast<lease::Resource>(account.resource), name,
               {account.value, account.period_us});
  }
  auto book = lease::Book::open(std::move(*ledger), driver);
  if (!book.ok()) return 0;
  for (int round = 0; round < 3 && (*book)->owed() > 0; ++round) (void)(*book)->retry_owed();
  (void)(*book)->reconcile();
  for (const auto resource : {lease::Resource::kCpu, lease::Resource::kMemory}) {
    (void)(*book)->conserved_sum(resource);
  }
  return 0;
}
