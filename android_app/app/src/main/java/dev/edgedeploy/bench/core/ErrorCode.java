package dev.edgedeploy.bench.core;

/** The exit code of an error, as docs/runner-protocol.md has it. */
public final class ErrorCode {
    private ErrorCode() {}

    public static int exitCode(String code) {
        switch (code) {
            case "plan_missing":
            case "plan_invalid":
            case "path_outside":
            case "input_missing":
            case "input_size":
            case "model_missing":
            case "signature_mismatch":
            case "unsupported_dtype":
            case "busy":
                return 2;
            case "model_invalid":
            case "library_missing":
            case "runtime_error":
            case "output_failed":
                return 3;
            case "worker_died":
                return 4;
            case "time_limit":
            case "memory_limit":
                return 5;
            case "cancelled":
                return 6;
            default:
                return 1;
        }
    }
}
