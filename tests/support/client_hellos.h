#pragma once

#include <string>

// What TLS clients send first, made by OpenSSL's client.

namespace nsrun::test {

struct HelloOptions {
  std::string server_name = {};  // empty: none
  bool encrypted = false;        // with an extension as ECH has it
  std::size_t padding = 0;       // bytes of an extension nobody knows
};

std::string client_hello(const HelloOptions& options);
// The same message in records of at most `size` bytes.
std::string in_records(const std::string& hello, std::size_t size);
// A server's answers, as far as anybody looks at them.
std::string server_hello();
std::string hello_retry_request();

}  // namespace nsrun::test
