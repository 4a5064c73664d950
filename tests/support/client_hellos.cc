#include "tests/support/client_hellos.h"

#include <openssl/sha.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <memory>

namespace nsrun::test {
namespace {

constexpr unsigned ech = 0xfe0d, unknown = 0xff77;
constexpr std::size_t header = 5;  // bytes of a record's

std::string record(const std::string& content) {
  const auto size = static_cast<char>(content.size() >> 8);
  return std::string{'\x16', '\3', '\3', size, static_cast<char>(content.size())} + content;
}

int add(SSL*, unsigned, unsigned, const unsigned char** out, std::size_t* size, X509*, std::size_t, int*,
        void* argument) {
  const auto& bytes = *static_cast<std::string*>(argument);
  *out = reinterpret_cast<const unsigned char*>(bytes.data());
  *size = bytes.size();
  return 1;
}

std::string answer(const std::string& random) {
  return record(std::string{'\2', '\0', '\0', '\x30', '\3', '\3'} + random + std::string(14, '\0'));
}

}  // namespace

std::string client_hello(const HelloOptions& options) {
  std::string content(8, 'e'), padding(options.padding, 'p');
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                                  SSL_CTX_free);
  const auto extend = [&](unsigned type, std::string& bytes) {
    SSL_CTX_add_custom_ext(context.get(), type, SSL_EXT_CLIENT_HELLO, add, nullptr, &bytes, nullptr, nullptr);
  };
  if (options.encrypted) extend(ech, content);
  if (options.padding) extend(unknown, padding);
  const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context.get()), SSL_free);
  BIO* sent = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), sent);
  if (!options.server_name.empty()) SSL_set_tlsext_host_name(ssl.get(), options.server_name.c_str());
  SSL_connect(ssl.get());
  char* data = nullptr;
  const auto size = BIO_get_mem_data(sent, &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string in_records(const std::string& hello, std::size_t size) {
  std::string message, result;
  for (std::size_t at = 0; at < hello.size();) {
    const auto length = static_cast<std::size_t>(static_cast<unsigned char>(hello[at + 3])) << 8 |
                        static_cast<unsigned char>(hello[at + 4]);
    message += hello.substr(at + header, length);
    at += header + length;
  }
  for (std::size_t at = 0; at < message.size(); at += size) result += record(message.substr(at, size));
  return result;
}

std::string server_hello() { return answer(std::string(32, 'r')); }

std::string hello_retry_request() {
  constexpr std::string_view text = "HelloRetryRequest";
  std::string random(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         reinterpret_cast<unsigned char*>(random.data()));
  return answer(random);
}

}  // namespace nsrun::test
