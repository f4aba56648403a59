<h1>Status</h1>
<table>
<thead><tr><th>Part</th><th>Answers</th><th></th></tr></thead>
<tbody>
<?php foreach ($parts as $part => $state) { ?>
<tr data-part="<?= $e($part) ?>" data-ok="<?= $state['ok'] ? 'yes' : 'no' ?>"><td><?= $e($part) ?></td><td><?= $state['ok'] ? 'yes' : 'no' ?></td><td><?= $e($state['detail']) ?></td></tr>
<?php } ?>
</tbody>
</table>
