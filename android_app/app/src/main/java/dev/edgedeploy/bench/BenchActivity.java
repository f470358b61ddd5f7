package dev.edgedeploy.bench;

import android.app.Activity;
import android.content.Intent;
import android.os.Bundle;
import android.view.View;
import android.view.WindowManager;
import android.widget.ArrayAdapter;
import android.widget.Button;
import android.widget.Spinner;
import android.widget.TextView;
import dev.edgedeploy.bench.core.Confined;
import dev.edgedeploy.bench.core.PlanRun;
import dev.edgedeploy.bench.core.Plans;
import dev.edgedeploy.bench.core.Record;
import dev.edgedeploy.bench.core.Samples;
import dev.edgedeploy.bench.core.Summary;
import dev.edgedeploy.bench.core.Supervisor;
import java.io.File;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** The one screen: a plan that was pushed, run; its progress, its times, its record. */
public final class BenchActivity extends Activity {
    /** The instrumentation runs something: the screen is only to be on. */
    static final String WATCHING = "watching";

    private static final CountDownLatch SHOWN = new CountDownLatch(1);
    private static final int SHOWN_SEC = 10;

    private Spinner plans;
    private Button run;
    private Button share;
    private TextView progress;
    private TextView summary;
    private PlanRun running;
    private String record;

    /** Until it is in the foreground; not for long. */
    static void awaitShown() {
        try {
            SHOWN.await(SHOWN_SEC, TimeUnit.SECONDS);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        getWindow().addFlags(
                WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON | WindowManager.LayoutParams.FLAG_TURN_SCREEN_ON
                        | WindowManager.LayoutParams.FLAG_SHOW_WHEN_LOCKED);
        setContentView(R.layout.bench);
        plans = (Spinner) findViewById(R.id.plans);
        run = (Button) findViewById(R.id.run);
        share = (Button) findViewById(R.id.share);
        progress = (TextView) findViewById(R.id.progress);
        summary = (TextView) findViewById(R.id.summary);
        run.setOnClickListener(new View.OnClickListener() {
            @Override
            public void onClick(View view) {
                if (running != null) running.cancel();
                else begin();
            }
        });
        share.setOnClickListener(new View.OnClickListener() {
            @Override
            public void onClick(View view) {
                share();
            }
        });
    }

    @Override
    protected void onResume() {
        super.onResume();
        SHOWN.countDown();
        if (running != null) return;
        // any app may start this activity; all it can have thereby is a screen that does nothing
        boolean watching = getIntent().getBooleanExtra(WATCHING, false);
        List<Plans.Entry> found = Plans.list(Home.work(this));
        plans.setAdapter(new ArrayAdapter<Plans.Entry>(this, android.R.layout.simple_spinner_dropdown_item, found));
        run.setEnabled(!watching && !found.isEmpty());
        progress.setText(watching ? R.string.running : R.string.none);
        if (!watching && !found.isEmpty()) progress.setText("");
    }

    private void begin() {
        final Plans.Entry chosen = (Plans.Entry) plans.getSelectedItem();
        if (chosen == null) return;
        final Record kept = new Record();
        final File directory;
        final PlanRun started;
        try {
            directory = Confined.below(Home.work(this), chosen.name);
            started = Home.run(this, directory, new Supervisor.Sink() {
                @Override
                public void line(String line, Map<String, Object> event) {
                    kept.line(line, event);
                    say(event);
                }
            });
        } catch (Confined.Outside outside) {
            progress.setText(outside.getMessage());
            return;
        }
        running = started;
        run.setText(R.string.stop);
        share.setEnabled(false);
        plans.setEnabled(false);
        summary.setText("");
        new Thread("supervisor") {
            @Override
            public void run() {
                String ended;
                try {
                    ended = Integer.toString(started.toItsEnd());
                } catch (IOException error) {
                    ended = String.valueOf(error.getMessage());
                }
                final String how = ended;
                final Summary times = new Summary(Samples.all(directory).steadyElapsedNs);
                final String text = kept.json(chosen.name, times, Home.device(BenchActivity.this));
                runOnUiThread(new Runnable() {
                    @Override
                    public void run() {
                        finished(how, times, text);
                    }
                });
            }
        }.start();
    }

    private void say(Map<String, Object> event) {
        if (event == null) return;
        final String text = event.get("event").equals("error")
                ? Confined.shown(event.get("message"), 500)
                : Confined.shown(event.get("event"), 40)
                        + (event.get("steady_samples") == null ? "" : ", " + event.get("steady_samples") + " inferences");
        runOnUiThread(new Runnable() {
            @Override
            public void run() {
                progress.setText(text);
            }
        });
    }

    private void finished(String how, Summary times, String text) {
        running = null;
        record = text;
        run.setText(R.string.run);
        plans.setEnabled(true);
        share.setEnabled(true);
        if (!how.equals("0")) progress.append("\n" + getString(R.string.ended, how));
        summary.setText(times.text());
    }

    private void share() {
        Intent send = new Intent(Intent.ACTION_SEND);
        send.setType("application/json");
        send.putExtra(Intent.EXTRA_SUBJECT, getString(R.string.app_name));
        send.putExtra(Intent.EXTRA_TEXT, record);
        startActivity(Intent.createChooser(send, getString(R.string.share)));
    }

    @Override
    protected void onDestroy() {
        if (running != null) running.cancel();
        super.onDestroy();
    }
}
