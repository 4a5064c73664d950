// A program of somebody else's, on the host's side.

#include <nsrun/host/dialer.h>

#include <cstdio>

int main() {
  const nsrun::Error error{"cannot connect", nsrun::errno_code(ECONNREFUSED)};
  const bool reset = nsrun::refusal_for(error) == nsrun::Refusal::reset;
  std::printf("%s\n", error.message().c_str());
  return reset ? 0 : 1;
}
