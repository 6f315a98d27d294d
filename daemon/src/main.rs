//! The program `counterfoild`; everything in it is in the library of the same name, where fuzzers reach it too.

fn main() -> std::process::ExitCode {
    counterfoild::main()
}
