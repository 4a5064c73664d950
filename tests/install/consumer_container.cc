// A program of somebody else's, on the child's side. It opens the device it is told to, in a namespace where
// it may; run without a word it only shows that it links.

#include <nsrun/container/tun.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc < 2) return 0;
  const auto device = nsrun::open_tun(argv[1]);
  if (!device) std::fprintf(stderr, "%s\n", device.error().message().c_str());
  return device ? 0 : 1;
}
