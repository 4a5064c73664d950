# How each dependency is found. Debian package names are in ./dev.
find_package(Threads REQUIRED)
# Boost.URL is Boost's one library that has to be linked. Its archive, so that the command needs no Boost at run time.
set(Boost_USE_STATIC_LIBS ON)
find_package(Boost 1.81 REQUIRED COMPONENTS url)
find_package(OpenSSL REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(LIBNL REQUIRED IMPORTED_TARGET libnl-3.0 libnl-route-3.0)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(LDNS REQUIRED IMPORTED_TARGET ldns)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)

# Asio: compiled in each user's translation units (header only); no Boost.Regex, no date_time, no deprecated names.
add_library(nsrun_asio INTERFACE)
target_link_libraries(nsrun_asio INTERFACE Boost::headers Threads::Threads)
target_compile_features(nsrun_asio INTERFACE cxx_std_20)
target_compile_definitions(nsrun_asio INTERFACE BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_VISIBILITY
                                                 BOOST_ASIO_DISABLE_BOOST_DATE_TIME)

add_subdirectory(${CMAKE_CURRENT_LIST_DIR}/lwip)
