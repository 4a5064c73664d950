#include "tests/support/catch.h"

#include "host/dialers/direct_dialer.h"
#include "host/dialers/http_connect_dialer.h"
#include "host/dialers/socks5_dialer.h"
#include "host/dialers/unix_dialer.h"
#include "host/outside/dial_url.h"

namespace nsrun {
namespace {

Result<std::unique_ptr<Dialer>> make(std::string_view url) {
  static asio::io_context context;
  return dialer_from_url(url, context.get_executor());
}

template <class Kind>
bool makes(std::string_view url) {
  const auto dialer = make(url);
  return dialer && dynamic_cast<Kind*>(dialer->get());
}

TEST_CASE("a URL names its dialer") {
  CHECK(makes<DirectDialer>("direct://"));
  CHECK(makes<ResolvingDialer>("socks5://127.0.0.1"));
  CHECK(makes<Socks5Dialer>("socks5h://proxy.example:1081"));
  CHECK(makes<Socks5Dialer>("socks5h://[::1]:1080/"));
  CHECK(makes<Socks5Dialer>("socks5h://anna:p%40ss%3Aword@proxy"));
  CHECK(makes<Socks5Dialer>("socks5h://anna@proxy"));
  CHECK(makes<HttpConnectDialer>("http://proxy"));
  CHECK(makes<HttpConnectDialer>("http://anna:secret@192.0.2.1:3128"));
  CHECK(makes<UnixDialer>("unix:///run/a%20socket"));
}

TEST_CASE("a URL that names no dialer is a usage error that shows the form") {
  for (const char* url : {"",
                          "direct",
                          "proxy:1080",
                          "ftp://host",
                          "SOCKS5://host",
                          "://host",
                          "direct://host",
                          "direct://?x",
                          "socks5://",
                          "socks5://:1080",
                          "socks5://host:0",
                          "socks5://0.0.0.0:1080",
                          "socks5h://[::]:1080",
                          "http://0.0.0.0",
                          "tcp://0.0.0.0:80",
                          "udp://[::]:53",
                          "tls://[::ffff:0.0.0.0]:443",
                          "socks5://host:65536",
                          "socks5://host:65537",
                          "socks5://host:99999",
                          "socks5://host:port",
                          "socks5://host:",
                          "socks5://host/path",
                          "socks5h://@host",
                          "socks5h://:pw@host",
                          "http://host?x",
                          "http://host#x",
                          "http://a%3Ab:pw@host",
                          "http://ho%00st",
                          "http://ho%0ast",
                          "http://[::1",
                          "unix://",
                          "unix:///",
                          "unix://host/path",
                          "unix:///a%00b",
                          "socks5://host:1 "}) {
    INFO(url);
    const auto dialer = make(url);
    REQUIRE(!dialer);
    CHECK(dialer.error().exit == ExitCode::usage);
  }
  const auto unknown = make("ftp://host").error().message();
  for (const char* scheme : {"direct://", "socks5://", "socks5h://", "http://", "unix:///"})
    CHECK(unknown.find(scheme) != unknown.npos);
}

TEST_CASE("an error about a URL keeps its password to itself") {
  for (const char* url :
       {"socks5://anna:secret@host/path", "ftp://anna:secret@host", "http://a%3A:secret@host"})
    CHECK(make(url).error().message().find("secret") == std::string::npos);
}

TEST_CASE("a URL says whether its dialer takes names") {
  CHECK(resolves_names("socks5h://proxy"));
  CHECK(resolves_names("http://proxy"));
  CHECK(resolves_names("unix:///path"));
  CHECK(!resolves_names("socks5://proxy"));
  CHECK(!resolves_names("direct://"));
  CHECK(!resolves_names("ftp://host"));
}

}  // namespace
}  // namespace nsrun
