import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.opensearch.common.settings.Settings;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.Plugin;

/** One OpenSearch node with the modules that its distribution has, in this process: TestNode HOME HTTP-PORT TRANSPORT-PORT. */
public class TestNode extends Node {
    private TestNode(Settings settings, Collection<Class<? extends Plugin>> plugins) {
        super(InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), null, () -> "test-node"), plugins, false);
    }

    public static void main(String[] args) throws Exception {
        Settings settings = Settings.builder()
            .put("path.home", args[0])
            .put("path.data", Path.of(args[0], "data"))
            .put("cluster.name", "siemrelay-test")
            .put("discovery.type", "single-node")
            .put("network.host", "127.0.0.1")
            .put("http.port", args[1])
            .put("transport.port", args[2])
            .put("transport.type", "netty4")
            .put("http.type", "netty4")
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .build();
        new TestNode(settings, List.of(
            org.opensearch.transport.Netty4Plugin.class,
            org.opensearch.analysis.common.CommonAnalysisPlugin.class,
            org.opensearch.painless.PainlessPlugin.class,
            org.opensearch.index.mapper.MapperExtrasPlugin.class,
            org.opensearch.ingest.common.IngestCommonPlugin.class,
            org.opensearch.script.mustache.MustachePlugin.class,
            org.opensearch.index.reindex.ReindexPlugin.class)).start();
        // The test process holds the other end of standard input: when it is gone, so is this.
        while (System.in.read() >= 0) {}
        Runtime.getRuntime().halt(0);
    }
}
