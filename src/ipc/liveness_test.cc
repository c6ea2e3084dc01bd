#include "ipc/liveness.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/unique_fd.h"

namespace pocket::ipc {
namespace {

TEST(Liveness, TheOtherEndIsThereUntilItsLastCopyIsClosed) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
  const UniqueFd client(ends[0]);
  UniqueFd runner(ends[1]);
  UniqueFd copy(::dup(runner.get()));
  keep_from_receiving(runner.get());
  for (int i = 0; i < 10'000; ++i) ASSERT_FALSE(other_end_is_closed(client.get()));
  const char byte = 1;
  EXPECT_EQ(::send(runner.get(), &byte, 1, 0), 1) << "it can still send";
  char got = 0;
  EXPECT_FALSE(other_end_is_closed(client.get()));
  EXPECT_EQ(::recv(client.get(), &got, 1, 0), 1) << "asking loses nothing";
  runner.reset();
  EXPECT_FALSE(other_end_is_closed(client.get()));
  copy.reset();
  EXPECT_TRUE(other_end_is_closed(client.get()));
  EXPECT_TRUE(other_end_is_closed(client.get())) << "it stays so";
}

}  // namespace
}  // namespace pocket::ipc
