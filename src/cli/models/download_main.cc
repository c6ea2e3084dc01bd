// pocket-download URL FILE SHA256: one file, checked. A program of its own, so that `pocket` does
// not carry a web client into every container. Goes on with FILE.part where an earlier try ended.
#include <curl/curl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "model/digest.h"

namespace {

namespace fs = std::filesystem;

constexpr long kConnectSeconds = 20;
constexpr long kSilentSeconds = 60;  // without a byte a transfer is given up

struct Progress {
  curl_off_t before = 0;  // bytes that an earlier try left
  bool shown = false;
};

int show_progress(void* context, curl_off_t total, curl_off_t done, curl_off_t, curl_off_t) {
  auto* progress = static_cast<Progress*>(context);
  if (done == 0) return 0;
  progress->shown = true;
  const double megabytes = static_cast<double>(progress->before + done) / 1e6;
  const double of = static_cast<double>(progress->before + total) / 1e6;
  fmt::print(stderr, "\r{:.1f} of {:.1f} MB", megabytes, of);
  return 0;
}

/// Appends what is left of the URL to `part`. True when the server wants the whole file to be asked
/// for again.
bool transfer(const std::string& url, const std::string& part, std::string& failure) {
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(),
                                                                 curl_easy_cleanup);
  const std::unique_ptr<FILE, decltype(&std::fclose)> file(std::fopen(part.c_str(), "ab"),
                                                           std::fclose);
  if (curl == nullptr || file == nullptr) {
    failure = fmt::format("cannot write '{}'", part);
    return false;
  }
  Progress progress;
  progress.before = static_cast<curl_off_t>(fs::file_size(part));
  char words[CURL_ERROR_SIZE] = "";
  CURL* handle = curl.get();
  curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https,file");
  curl_easy_setopt(handle, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(handle, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, kSilentSeconds);
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, words);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, file.get());
  curl_easy_setopt(handle, CURLOPT_RESUME_FROM_LARGE, progress.before);
  if (::isatty(STDERR_FILENO) != 0) {
    curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, show_progress);
    curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &progress);
  }
  const CURLcode code = curl_easy_perform(handle);
  if (progress.shown) fmt::print(stderr, "\n");
  if (code == CURLE_OK) return false;
  long answer = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &answer);
  constexpr long kRangeNotSatisfiable = 416;
  if (progress.before > 0 && (code == CURLE_RANGE_ERROR || code == CURLE_BAD_DOWNLOAD_RESUME ||
                              answer == kRangeNotSatisfiable)) {
    return true;
  }
  failure = fmt::format("{}: {}", url, words[0] != '\0' ? words : curl_easy_strerror(code));
  const auto kept = std::ftell(file.get());
  if (kept > 0) failure += fmt::format("; {} bytes are kept, and the next try goes on there", kept);
  return false;
}

std::string download(const std::string& url, const std::string& path, const std::string& sha256) {
  const std::string part = path + ".part";
  std::string failure;
  if (transfer(url, part, failure)) {
    fs::remove(part);
    transfer(url, part, failure);
  }
  if (!failure.empty()) return failure;
  const auto digest = pocket::model::digest_file(part);
  if (!digest.ok()) return digest.error().message;
  if (*digest != sha256) {
    fs::remove(part);
    return fmt::format("{}: has SHA-256 {}, not {}: it was thrown away", url, *digest, sha256);
  }
  fs::rename(part, path);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    fmt::print(stderr, "usage: pocket-download URL FILE SHA256\n");
    return 2;
  }
  curl_global_init(CURL_GLOBAL_DEFAULT);
  std::string failure;
  try {
    failure = download(argv[1], argv[2], argv[3]);
  } catch (const std::exception& exception) {
    failure = exception.what();
  }
  curl_global_cleanup();
  if (failure.empty()) return 0;
  fmt::print(stderr, "pocket-download: {}\n", failure);
  return 1;
}
