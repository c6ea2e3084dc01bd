#include "cli/top/figures.h"

#include <gtest/gtest.h>

#include "cli/top/text.h"

namespace pocket::cli {
namespace {

namespace control = wire::control;

/// One tenant's calls with one model in one runner.
void add_entry(Sample& sample, const std::string& tenant, const std::string& model, int32_t runner,
               uint64_t calls, uint64_t cpu_ns, uint32_t bucket = 40) {
  auto entry = std::make_unique<control::UsageEntryT>();
  entry->tenant = tenant;
  entry->model = model;
  entry->version = "1";
  entry->runner_pid = runner;
  entry->calls = calls;
  entry->cpu_ns = cpu_ns;
  entry->waiting = 1;
  entry->compute_times = std::make_unique<control::CallTimesT>();
  entry->compute_times->first = bucket;
  entry->compute_times->counts = {static_cast<uint32_t>(calls)};
  sample.usage.entries.push_back(std::move(entry));
}

void add_tenant(Sample& sample, const std::string& name, uint64_t refusals) {
  auto tenant = std::make_unique<control::TenantEntryT>();
  tenant->name = name;
  tenant->sessions = 2;
  tenant->region_bytes = 1000;
  tenant->refusals = refusals;
  sample.status.tenants.push_back(std::move(tenant));
}

Sample at(double seconds) {
  Sample sample;
  sample.usage.clock_ns = static_cast<uint64_t>(seconds * 1e9);
  return sample;
}

TEST(Figures, RatesAreOfTheTimeBetweenTheTwoLooks) {
  Sample before = at(10), after = at(12);
  add_tenant(before, "camera", 4);
  add_tenant(after, "camera", 10);
  add_entry(before, "camera", "echo", 5, 100, 1'000'000'000);
  add_entry(after, "camera", "echo", 5, 140, 2'500'000'000);
  add_entry(after, "camera", "other", 6, 10, 500'000'000);  // is new: counts from nothing
  add_entry(after, "shop", "echo", 5, 0, 0);
  const Figures figures = compare(before, after);
  EXPECT_DOUBLE_EQ(figures.interval_s, 2);
  ASSERT_EQ(figures.tenants.size(), 2U);
  const Figure& camera = figures.tenants[0];
  EXPECT_EQ(camera.name, "camera");
  EXPECT_EQ(camera.clients, 2U);
  EXPECT_DOUBLE_EQ(camera.calls_per_s, 25);
  EXPECT_DOUBLE_EQ(camera.processors, 1);
  EXPECT_DOUBLE_EQ(camera.share, 1);
  EXPECT_DOUBLE_EQ(camera.refused_per_s, 3);
  EXPECT_EQ(camera.waiting, 2U);
  EXPECT_EQ(camera.total_calls, 150U);
  ASSERT_EQ(figures.models.size(), 2U);
  EXPECT_EQ(figures.models[0].name, "echo 1");
  EXPECT_DOUBLE_EQ(figures.models[0].calls_per_s, 20);
  EXPECT_DOUBLE_EQ(figures.models[0].share, 0.75);
  EXPECT_FALSE(figures.tenants[1].run_p50_ms.has_value()) << "no calls, no time";
}

TEST(Figures, CountersThatWentDownBeganAnew) {
  Sample before = at(0), after = at(1);
  add_entry(before, "camera", "echo", 5, 100, 9'000'000'000);
  add_entry(after, "camera", "echo", 5, 7, 250'000'000);
  const Figures figures = compare(before, after);
  EXPECT_DOUBLE_EQ(figures.tenants.at(0).calls_per_s, 7);
  EXPECT_DOUBLE_EQ(figures.tenants.at(0).processors, 0.25);
}

TEST(Figures, QuantilesAreOfTheCallsBetween) {
  // What was before took bucket 40, what came since bucket 60.
  Sample before = at(0), after = at(1);
  add_entry(before, "camera", "echo", 5, 100, 0, 40);
  add_entry(after, "camera", "echo", 5, 100, 0, 40);
  after.usage.entries[0]->calls = 110;
  after.usage.entries[0]->compute_times->counts.resize(21);
  after.usage.entries[0]->compute_times->counts[20] = 10;
  const Figures figures = compare(before, after);
  ASSERT_TRUE(figures.tenants.at(0).run_p50_ms.has_value());
  EXPECT_DOUBLE_EQ(*figures.tenants.at(0).run_p50_ms, bucket_ns(60) / 1e6);
}

TEST(Figures, ABucketsMiddleLiesWithinIt) {
  EXPECT_DOUBLE_EQ(bucket_ns(3), 3);
  EXPECT_DOUBLE_EQ(bucket_ns(4), 4.5);
  EXPECT_DOUBLE_EQ(bucket_ns(8), 9);    // 8 and 9
  EXPECT_DOUBLE_EQ(bucket_ns(11), 15);  // 14 and 15
  EXPECT_DOUBLE_EQ(bucket_ns(12), 18);  // 16 to 19
}

TEST(Figures, AreSortedByAColumn) {
  Figures figures;
  figures.tenants.resize(3);
  figures.tenants[0].name = "a";
  figures.tenants[0].processors = 1;
  figures.tenants[1].name = "b";
  figures.tenants[1].processors = 3;
  figures.tenants[2].name = "c";
  figures.tenants[2].calls_per_s = 9;
  const auto order = [&] {
    std::string names;
    for (const Figure& tenant : figures.tenants) names += tenant.name;
    return names;
  };
  sort_figures(figures, SortBy::kCpu, false);
  EXPECT_EQ(order(), "bac");
  sort_figures(figures, SortBy::kCpu, true);
  EXPECT_EQ(order(), "cab");
  sort_figures(figures, SortBy::kCalls, false);
  EXPECT_EQ(order(), "cab");
  sort_figures(figures, SortBy::kName, false);
  EXPECT_EQ(order(), "abc");
  EXPECT_EQ(sort_names().size(), static_cast<size_t>(SortBy::kMoved) + 1);
}

TEST(Text, NamesCannotMoveTheCursor) {
  Figures figures;
  figures.tenants.resize(1);
  figures.tenants[0].name = "a\033[2Jb";
  figures.notes.emplace_back("line\r\nnext");
  for (const std::string& line : figure_lines(figures)) {
    EXPECT_EQ(line.find_first_of("\033\r\n"), std::string::npos) << line;
  }
}

TEST(Text, IsCutBetweenCharacters) {
  EXPECT_EQ(clip("abc", 2), "ab");
  EXPECT_EQ(clip("abc", 9), "abc");
  EXPECT_EQ(clip("\xc3\xa4\xc3\xb6\xc3\xbc", 2), "\xc3\xa4\xc3\xb6");
}

}  // namespace
}  // namespace pocket::cli
