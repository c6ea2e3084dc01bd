// GoogleTest's main, that leaves out everything (77) where the test models were not built.
#include <gtest/gtest.h>

#include "cases.h"

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  return pocket::equality::test_models_root().empty() ? 77 : RUN_ALL_TESTS();
}
