package dev.edgedeploy.bench.core;

import static org.junit.Assert.assertEquals;

import org.junit.Test;

public final class ThermalTest {
    private static final String UNKNOWN = "{\"event\":\"thermal\",\"status\":null,\"name\":null,\"headroom\":null}";

    /** As android.os.PowerManager has it since Android 11. */
    public static class PowerManager {
        private final int status;
        private final float headroom;

        PowerManager(int status, float headroom) {
            this.status = status;
            this.headroom = headroom;
        }

        public int getCurrentThermalStatus() {
            return status;
        }

        public float getThermalHeadroom(int forecastSeconds) {
            return headroom + forecastSeconds;
        }
    }

    /** Of Android 10: without the headroom. */
    public static final class Ten {
        public int getCurrentThermalStatus() {
            return 3;
        }
    }

    /** A phone whose driver does not answer. */
    public static final class Refusing {
        public int getCurrentThermalStatus() {
            throw new UnsupportedOperationException();
        }
    }

    @Test
    public void whatThePhoneSays() {
        assertEquals(
                "{\"event\":\"thermal\",\"status\":2,\"name\":\"moderate\",\"headroom\":0.750}",
                Thermal.line(new PowerManager(2, 0.75f)));
        assertEquals("{\"event\":\"thermal\",\"status\":3,\"name\":\"severe\",\"headroom\":null}", Thermal.line(new Ten()));
    }

    @Test
    public void whatItDoesNotSay() {
        for (Object none : new Object[] {null, new Object(), new Refusing(), new PowerManager(7, Float.NaN)})
            assertEquals(UNKNOWN, Thermal.line(none));
        assertEquals(UNKNOWN, Thermal.line(new PowerManager(-1, Float.POSITIVE_INFINITY)));
    }
}
