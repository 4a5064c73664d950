// A program of somebody else's, on the child's side: sets up the network its host gave it.

#include <nsrun/container/container.h>

#include <cstdio>

int main() try {
  auto net = nsrun::Container::open(0).value();
  net.setup_network().value();
  std::puts("the network is there");
} catch (const nsrun::ErrorException& failure) {
  std::fprintf(stderr, "%s\n", failure.what());
  return static_cast<int>(failure.error().exit);
}
