#include "host/carry/client_hello.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <memory>

#include "host/tls/openssl.h"

// Records are counted here, since where a hello ends decides which bytes may go on; what is in it is read by
// OpenSSL, as far as a server would before it chooses anything.

namespace nsrun {
namespace {

enum : unsigned { change_cipher_spec = 20, alert = 21, handshake = 22, application_data = 23 };
enum : unsigned { client_hello = 1, server_hello = 2 };

constexpr std::size_t record_header = 5, message_header = 4;  // bytes
constexpr std::size_t max_record = 16'384;                    // bytes of content; RFC 8446 5.1
constexpr unsigned encrypted_client_hello = 0xfe0d;           // draft-ietf-tls-esni, "ech"
constexpr unsigned encrypted_server_name = 0xffce;            // its draft 2, "esni"

// SHA-256 of "HelloRetryRequest", in place of a ServerHello's random (RFC 8446 4.1.3).
constexpr std::array<unsigned, 32> retry_random = {
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};

unsigned octet(Bytes bytes, std::size_t at) { return std::to_integer<unsigned>(bytes[at]); }
std::size_t number(Bytes bytes, std::size_t at, std::size_t size) {
  std::size_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value = value << 8 | octet(bytes, at + i);
  return value;
}

Error no_hello(const char* why) { return {std::string("its TLS cannot be read: ") + why}; }

using SslContext = tls::SslContext;
using SslConnection = tls::Ssl;

struct Seen {
  bool whole = false;
  Result<ClientHello> hello = ClientHello{};
};

// server_name_list with its one host_name (RFC 6066 3).
Result<std::string> host_name_in(Bytes extension) {
  constexpr std::size_t before_name = 5;
  if (extension.size() < before_name || number(extension, 0, 2) != extension.size() - 2 ||
      octet(extension, 2) != TLSEXT_NAMETYPE_host_name ||
      number(extension, 3, 2) != extension.size() - before_name || extension.size() == before_name)
    return no_hello("its server name is malformed");
  return {boost::system::in_place_value, as_text(extension.subspan(before_name))};
}

int on_hello(SSL* ssl, int*, void*) {
  auto& seen = *static_cast<Seen*>(SSL_get_app_data(ssl));
  seen.whole = true;
  const unsigned char* data = nullptr;
  std::size_t size = 0;
  for (const unsigned type : {encrypted_client_hello, encrypted_server_name})
    seen.hello->encrypted |= SSL_client_hello_get0_ext(ssl, type, &data, &size) == 1;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &size) == 1) {
    auto name = host_name_in(std::as_bytes(std::span(data, size)));
    if (name)
      seen.hello->server_name = std::move(*name);
    else
      seen.hello = name.error();
  }
  return SSL_CLIENT_HELLO_ERROR;  // that is all that we came for
}

// OpenSSL keeps of a hello only the extensions that it has heard of.
int take_extension(SSL*, unsigned, unsigned, const unsigned char*, std::size_t, X509*, std::size_t, int*,
                   void*) {
  return 1;
}

SslContext make_context() {
  SslContext context(SSL_CTX_new(TLS_server_method()));
  SSL_CTX_set_client_hello_cb(context.get(), on_hello, nullptr);
  for (const unsigned type : {encrypted_client_hello, encrypted_server_name})
    SSL_CTX_add_custom_ext(context.get(), type, SSL_EXT_CLIENT_HELLO, nullptr, nullptr, nullptr,
                           take_extension, nullptr);
  return context;
}

enum class RecordLook { tls, other, empty_handshake, cut_off };

constexpr std::size_t telling_empty_records = 3;  // nothing but TLS begins with so many

// Some servers pass over record types that they do not know. From here on it is text.
constexpr unsigned last_type = ' ' - 1;

RecordLook look_at_record(Bytes bytes) {
  const auto size = bytes.size();
  if (size == 0) return RecordLook::cut_off;
  const unsigned type = octet(bytes, 0);
  if (type < change_cipher_spec || type > last_type) return RecordLook::other;
  if (size < 2) return RecordLook::cut_off;
  const bool is_usual = octet(bytes, 1) == 3;
  if (is_usual && type <= application_data) return RecordLook::tls;
  if (!is_usual && type > handshake) return RecordLook::other;
  if (size < record_header) return RecordLook::cut_off;
  const auto length = number(bytes, 3, 2);
  if (type > handshake) return octet(bytes, 2) != 0 ? RecordLook::tls : RecordLook::other;
  if (type == handshake && length == 0) return RecordLook::empty_handshake;
  // Level and description; close_notify ends the connection, and what follows it is not read.
  const std::size_t needed = type == alert ? 2 : 1;
  if (length < needed) return RecordLook::other;
  if (size < record_header + needed) return RecordLook::cut_off;
  const unsigned content = octet(bytes, record_header);
  const bool is_tls = type == handshake ? content == client_hello
                      : type == alert   ? content < ' ' && octet(bytes, record_header + 1) != 0
                                        : length == 1 && content == 1;
  return is_tls ? RecordLook::tls : RecordLook::other;
}

}  // namespace

// What some server would take for the first record of a client, by its major version. OpenSSL, Node, Go and
// Java were tried; the others are by their sources.
//
//   OpenSSL, Node   3; of any minor version, and any type up to application data
//   rustls          3, and what it knows besides: SSL 2.0's, DTLS's 0xfe
//   GnuTLS          up to 3
//   Go              handshake and alert, below 16
//   Java, wolfSSL   handshake and alert, any
//
// They pass over alerts that are warnings, Java also over handshake records without content. Without the 3
// a record has to look like more than its header, since other protocols begin with a length.
std::optional<bool> starts_tls(Bytes beginning) {
  if (beginning.empty()) return std::nullopt;
  // An SSLv2 hello, which some servers still take, has no server name, and so counts as TLS.
  if (octet(beginning, 0) & 0x80) {
    if (beginning.size() < 4) return std::nullopt;
    return octet(beginning, 2) == client_hello && octet(beginning, 3) >= 3;
  }
  for (std::size_t empty_records = 0; empty_records < telling_empty_records; ++empty_records) {
    const auto look = look_at_record(beginning);
    if (look == RecordLook::cut_off) return std::nullopt;
    if (look != RecordLook::empty_handshake) return look == RecordLook::tls;
    beginning = beginning.subspan(record_header);
  }
  return true;
}

Result<std::size_t> hello_size(Bytes records) {
  std::size_t needed = message_header, have = 0;  // bytes of the message, without record headers
  std::array<std::byte, message_header> head{};
  for (std::size_t at = 0; records.size() - at >= record_header;) {
    const std::size_t size = number(records, at + 3, 2);
    if (octet(records, at) != handshake) return no_hello("it does not begin with a ClientHello");
    if (size == 0 || size > max_record) return no_hello("a record has an impossible length");
    at += record_header;
    const auto content = records.subspan(at, std::min(size, records.size() - at));
    for (std::size_t i = 0; i < content.size() && have + i < message_header; ++i) head[have + i] = content[i];
    have += content.size();
    if (have > 0 && octet(head, 0) != client_hello) return no_hello("it does not begin with a ClientHello");
    if (have >= message_header) needed = message_header + number(head, 1, 3);
    if (needed > max_hello) return no_hello("its ClientHello is too long");
    if (content.size() < size) break;
    at += size;
    if (have > needed) return no_hello("more follows its ClientHello in one record");
    if (have == needed && at <= max_hello) return at;
  }
  if (records.size() >= max_hello) return no_hello("its ClientHello is too long");
  return std::size_t{0};
}

Result<ClientHello> parse_client_hello(Bytes records) {
  static const SslContext context = make_context();
  const SslConnection ssl(SSL_new(context.get()));
  BIO* from_client = BIO_new_mem_buf(records.data(), static_cast<int>(records.size()));
  BIO* to_client = BIO_new(BIO_s_mem());
  if (!ssl || !from_client || !to_client) {
    BIO_free(from_client);
    BIO_free(to_client);
    return no_hello("there is no memory for it");
  }
  Seen seen;
  SSL_set_app_data(ssl.get(), &seen);
  SSL_set_bio(ssl.get(), from_client, to_client);
  SSL_set_accept_state(ssl.get());
  SSL_do_handshake(ssl.get());
  ERR_clear_error();
  if (!seen.whole) return no_hello("its ClientHello is malformed");
  return seen.hello;
}

std::optional<bool> asks_for_hello_again(Bytes beginning) {
  constexpr std::size_t at_random = record_header + message_header + 2;
  const auto expect = [&](std::size_t at, unsigned value) {
    return at >= beginning.size() || octet(beginning, at) == value;
  };
  if (!expect(0, handshake) || !expect(record_header, server_hello)) return false;
  for (std::size_t i = 0; i < retry_random.size(); ++i)
    if (!expect(at_random + i, retry_random[i])) return false;
  if (beginning.size() < at_random + retry_random.size()) return std::nullopt;
  return true;
}

std::size_t bytes_before_second_hello(Bytes records) {
  std::size_t at = 0;
  while (records.size() - at >= record_header) {
    const unsigned type = octet(records, at);
    const std::size_t whole = record_header + number(records, at + 3, 2);
    if ((type != change_cipher_spec && type != application_data) || records.size() - at < whole) break;
    at += whole;
  }
  return at;
}

}  // namespace nsrun
