#include "testing/trust.h"

#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "runtime/result.h"

namespace nsrun::testing {
namespace {

// Where distributions keep the certificates they trust, in one file: Debian, Fedora, Alpine.
constexpr std::array system_bundles = {"/etc/ssl/certs/ca-certificates.crt",
                                       "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};

// Variables that name the file of all whom a program trusts.
constexpr std::array names_of_all = {
    "SSL_CERT_FILE",       // OpenSSL, Go, Ruby, rustls-native-certs, uv
    "CURL_CA_BUNDLE",      // curl(1), requests
    "REQUESTS_CA_BUNDLE",  // requests
    "PIP_CERT",            // pip
    "GIT_SSL_CAINFO",      // git
    "AWS_CA_BUNDLE",       // boto3, the AWS command
    "CARGO_HTTP_CAINFO",   // cargo
    "HTTPLIB2_CA_CERTS",   // httplib2
    "PERL_LWP_SSL_CA_FILE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "NIX_SSL_CERT_FILE",
};

// Variables that name a file of whom it trusts besides.
constexpr std::array names_of_more = {"NODE_EXTRA_CA_CERTS", "DENO_CERT"};

std::string read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string system_certificates() {
  for (const char* path : system_bundles)
    if (auto text = read_file(path); !text.empty()) return text + "\n";
  return {};
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush()) throw ErrorException(errno_error("cannot write " + path));
}

}  // namespace

TrustFolder::TrustFolder(const std::string& authority_pem) {
  std::string pattern = std::filesystem::temp_directory_path() / "nsrun-world-XXXXXX";
  if (!::mkdtemp(pattern.data())) throw ErrorException(errno_error("cannot make a folder as " + pattern));
  folder_ = pattern;
  write_file(authority_file(), authority_pem);
  write_file(bundle_file(), system_certificates() + authority_pem);
  write_file(wgetrc(), "ca_certificate = " + bundle_file() + "\n");
}

TrustFolder::~TrustFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

Environment TrustFolder::environment() const {
  Environment environment;
  for (const char* name : names_of_all) environment.emplace_back(name, bundle_file());
  for (const char* name : names_of_more) environment.emplace_back(name, authority_file());
  environment.emplace_back("WGETRC", wgetrc());  // wget has no variable for certificates alone
  return environment;
}

}  // namespace nsrun::testing
